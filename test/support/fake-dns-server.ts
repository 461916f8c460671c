import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import * as packet from "dns-packet";
import { freePort } from "./free-port.js";

/** A query as the fake server saw it. */
export interface SeenQuery {
  readonly transport: "udp" | "tcp";
  readonly id: number;
  /** As written in the query, letter case kept. */
  readonly qname: string;
  readonly qtype: string;
  /** Payload size of the OPT record; undefined without EDNS(0). */
  readonly ednsSize: number | undefined;
  /** The 16 bits after the id. */
  readonly flags: number;
  readonly fromPort: number;
}

/** What the fake server sends back. */
export interface FakeReply {
  readonly rcode?: number;
  readonly answers?: packet.Answer[];
  readonly authorities?: packet.Answer[];
  readonly additionals?: packet.Answer[];
  /** TC set. */
  readonly truncated?: boolean;
  /** Neither AA nor RA: the server has not the zone, and asks nobody. */
  readonly lame?: boolean;
  readonly wrongId?: boolean;
  /** Repeats another question than the one that came. */
  readonly question?: packet.Question;
  readonly noQuestion?: boolean;
  /** Bytes to send as they are. */
  readonly raw?: Buffer;
  /** From a socket that was not asked. */
  readonly wrongSource?: boolean;
  /** Sent when this has been fulfilled. */
  readonly when?: Promise<void>;
  /** Milliseconds before it is sent. */
  readonly delay?: number;
  /** TCP: the message goes out one octet at a time. */
  readonly dribble?: boolean;
  /** TCP: the connection is closed instead. */
  readonly hangUp?: boolean;
}

/** Undefined: the query is dropped. Several: sent one after the other. */
export type FakeHandler = (query: SeenQuery) => FakeReply | readonly FakeReply[] | undefined;

export interface FakeDnsServer {
  readonly address: string;
  readonly port: number;
  readonly queries: SeenQuery[];
  /** Replaces what is answered from now on. */
  handle(handler: FakeHandler): void;
  close(): Promise<void>;
}

/** @param at default: any port that is free */
export async function startFakeDns(first: FakeHandler, address = "127.0.0.1", at?: number): Promise<FakeDnsServer> {
  let handler = first;
  const queries: SeenQuery[] = [];
  const family = net.isIPv6(address) ? "udp6" : "udp4";
  const timers = new Set<NodeJS.Timeout>();
  const connections = new Set<net.Socket>();

  let closed = false;

  const after = ({ delay: milliseconds, when }: FakeReply, action: () => void) => {
    if (when) return void when.then(() => closed || action());
    if (milliseconds === undefined) return action();
    const timer = setTimeout(() => {
      timers.delete(timer);
      action();
    }, milliseconds);
    timers.add(timer);
  };

  const repliesTo = (bytes: Buffer, transport: "udp" | "tcp", fromPort: number): [FakeReply, Buffer][] => {
    const query = packet.decode(bytes);
    const question = query.questions?.[0] as packet.Question;
    const opt = query.additionals?.find((record) => record.type === "OPT");
    const seen: SeenQuery = {
      transport,
      id: query.id ?? 0,
      qname: question.name,
      qtype: question.type,
      ednsSize: opt?.type === "OPT" ? opt.udpPayloadSize : undefined,
      flags: bytes.readUInt16BE(2),
      fromPort,
    };
    queries.push(seen);
    const replies = handler(seen) ?? [];
    return [replies].flat().map((reply) => [reply, encodeReply(reply, seen, question)]);
  };

  const udp = dgram.createSocket(family);
  const stranger = dgram.createSocket(family);
  udp.on("message", (bytes, from) => {
    for (const [reply, response] of repliesTo(bytes, "udp", from.port)) {
      after(reply, () => (reply.wrongSource ? stranger : udp).send(response, from.port, from.address, () => {}));
    }
  });

  const tcp = net.createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => {});
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const bytes = received.subarray(2, 2 + received.readUInt16BE(0));
      for (const [reply, response] of repliesTo(bytes, "tcp", socket.remotePort ?? 0)) {
        after(reply, () => {
          if (reply.hangUp) socket.destroy();
          else void sendTcp(socket, response, reply.dribble ?? false);
        });
      }
    });
  });

  const port = await bindBoth(udp, tcp, address, at);
  await new Promise<void>((resolve) => {
    stranger.bind(0, address, resolve);
  });
  return {
    address,
    port,
    queries,
    handle(next) {
      handler = next;
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      for (const socket of connections) socket.destroy();
      udp.close();
      stranger.close();
      tcp.close();
      await once(tcp, "close");
    },
  };
}

function encodeReply(reply: FakeReply, seen: SeenQuery, question: packet.Question): Buffer {
  if (reply.raw) return reply.raw;
  const QR_AA_RA = 0x8480;
  const TC = 0x0200;
  // RFC 1035 4.1.1: RD is copied into the response.
  const rd = seen.flags & 0x0100;
  return packet.encode({
    type: "response",
    id: reply.wrongId ? seen.id ^ 1 : seen.id,
    flags: (reply.lame ? 0x8000 : QR_AA_RA) | rd | (reply.truncated ? TC : 0) | (reply.rcode ?? 0),
    questions: reply.noQuestion ? [] : [reply.question ?? question],
    answers: reply.answers ?? [],
    authorities: reply.authorities ?? [],
    additionals: reply.additionals ?? [],
  });
}

async function sendTcp(socket: net.Socket, response: Buffer, dribble: boolean): Promise<void> {
  const framed = Buffer.concat([Buffer.from([response.length >> 8, response.length & 0xff]), response]);
  if (!dribble) {
    socket.write(framed);
    return;
  }
  socket.setNoDelay(true);
  for (const octet of framed) {
    await new Promise<void>((resolve) => {
      socket.write(Buffer.from([octet]), () => resolve());
    });
  }
}

/** One port for both. */
async function bindBoth(udp: dgram.Socket, tcp: net.Server, address: string, at?: number): Promise<number> {
  const port = at ?? (await freePort());
  tcp.listen(port, address);
  await once(tcp, "listening");
  udp.bind(port, address);
  await once(udp, "listening");
  return port;
}

/** Records in short form, for replies. */
export const srv = (
  name: string,
  target: string,
  port: number,
  more: { ttl?: number; weight?: number; priority?: number } = {},
): packet.Answer => ({
  type: "SRV",
  name,
  ttl: more.ttl ?? 0,
  data: { target, port, weight: more.weight ?? 1, priority: more.priority ?? 1 },
});
export const a = (name: string, address: string, ttl = 0): packet.Answer => ({ type: "A", name, ttl, data: address });
export const aaaa = (name: string, address: string, ttl = 0): packet.Answer => ({
  type: "AAAA",
  name,
  ttl,
  data: address,
});
export const cname = (name: string, target: string, ttl = 0): packet.Answer => ({
  type: "CNAME",
  name,
  ttl,
  data: target,
});
export const txt = (name: string, text: string): packet.Answer => ({ type: "TXT", name, ttl: 0, data: text });
export const soa = (name: string, ttl: number, minimum: number): packet.Answer => ({
  type: "SOA",
  name,
  ttl,
  data: { mname: `ns.${name}`, rname: `hostmaster.${name}`, serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
export const NXDOMAIN = 3;
export const SERVFAIL = 2;
export const REFUSED = 5;
export const FORMERR = 1;
