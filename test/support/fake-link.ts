import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { challenge6, fakeNode, framed } from "./fake-node.js";

/** What a fake node has been sent after its challenge. */
export interface LinkedPeer {
  readonly socket: Duplex;
  /** Digest and challenge of the peer. */
  readonly reply: { readonly challenge: number; readonly digest: string };
  /** What came after the handshake. */
  readonly sent: Buffer;
  /** Whether this is the first time that anything is there. */
  readonly isFirst: boolean;
}

/** The challenge that fake nodes send. */
const CHALLENGE = 0x01020304;

export const digestOf = (cookie: string, challenge: number) =>
  createHash("md5").update(`${cookie}${challenge}`).digest("hex");

export const uint32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);

/** A message on a link, with its length. */
export const linkMessage = (body: Buffer) => Buffer.concat([uint32(body.length), body]);

/** SEND to the pid of a call, behind which stands `{rex, Result}`. @param result a term without version */
export function rexReply(us: string, id: number, result: Buffer): Buffer {
  const node = Buffer.concat([Buffer.of(119, us.length), Buffer.from(us)]);
  const pid = Buffer.concat([Buffer.of(88), node, uint32(id), uint32(0), uint32(1)]);
  const control = Buffer.concat([Buffer.of(131, 104, 3, 97, 2, 119, 0), pid]);
  return linkMessage(
    Buffer.concat([Buffer.of(112), control, Buffer.from("836802770372657a".replace("7a", "78"), "hex"), result]),
  );
}

/** Answers of a VM that is linked with b@h, as terms without version, in the order of the questions. */
export const ANSWERS: readonly Buffer[] = [
  Buffer.from("6c00000001770362406" + "86a", "hex"),
  Buffer.from("6a", "hex"),
  Buffer.from("6b00023235", "hex"),
  ...[1, 2, 3].map(() => Buffer.from("7709756e646566696e6564", "hex")),
  Buffer.from("6a", "hex"),
  Buffer.from("7709756e646566696e6564", "hex"),
];

/** Our name in the send_name that came. */
export function nameIn(received: Buffer): string {
  const length = received.readUInt16BE(15);
  return received.subarray(17, 17 + length).toString();
}

/**
 * A node, a@h unless another name is given, that sends a challenge, and does what it is told with the reply.
 * @param onReply called with the reply, and with all that comes after it
 * @param flags as challenge6() has them
 * @returns its port
 */
export function fakePeer(
  onReply: (peer: LinkedPeer, us: string) => void,
  name = "a@h",
  flags?: string,
): Promise<number> {
  const linked = new WeakSet<Duplex>();
  return fakeNode((socket, received) => {
    const first = received.length < 2 ? Number.POSITIVE_INFINITY : 2 + received.readUInt16BE();
    if (received.length < first) return;
    if (received.length === first) {
      socket.write(Buffer.concat([framed("sok"), framed(challenge6(name, flags))]));
      return;
    }
    if (received.length < first + 23) return;
    const reply = {
      challenge: received.readUInt32BE(first + 3),
      digest: received.subarray(first + 7, first + 23).toString("hex"),
    };
    const isFirst = !linked.has(socket);
    linked.add(socket);
    onReply({ socket, reply, sent: received.subarray(first + 23), isFirst }, nameIn(received));
  });
}

/** What a node with this cookie does: it acknowledges, or closes the connection. @returns whether it goes on */
export function acknowledge({ socket, reply, isFirst }: LinkedPeer, cookie: string): boolean {
  if (reply.digest !== digestOf(cookie, CHALLENGE)) {
    socket.end();
    return false;
  }
  if (isFirst)
    socket.write(framed(Buffer.concat([Buffer.from("a"), Buffer.from(digestOf(cookie, reply.challenge), "hex")])));
  return true;
}
