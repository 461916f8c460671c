import type { Duplex } from "node:stream";
import { ProtocolError } from "../errors.js";
import {
  type Challenge,
  decodeChallenge,
  decodeStatus,
  encodeSendName,
  type LengthOctets,
  readMessage,
  type SendName,
  type Status,
} from "./wire/handshake.js";

/** What a peer replied to a name. */
export type HandshakeReply =
  | {
      readonly kind: "challenge";
      readonly status: Status;
      readonly challenge: Challenge;
      /** What came behind it. The stream is paused and open. */
      readonly rest: Buffer;
    }
  /** An Erlang node, which does not go on with that name. */
  | { readonly kind: "refusal"; readonly status: Status }
  /** It closed the connection before its reply was complete. */
  | {
      readonly kind: "closed";
      /** Undefined: it closed before its status. */
      readonly status: Status | undefined;
      /** `ECONNRESET`, or a code of TLS; undefined after a regular end. */
      readonly code: string | undefined;
    }
  /** The first bytes of another protocol. */
  | { readonly kind: "garbage"; readonly bytes: Buffer };

export interface Greeting extends SendName {
  readonly lengthOctets: LengthOctets;
}

/** Statuses that a challenge follows (dist_util:handshake_other_started/1). */
const GOES_ON = new Set<Status["status"]>(["ok", "ok_simultaneous", "named"]);

/**
 * Sends a name and reads the reply, up to the challenge; the caller ends the stream, or goes on. Never rejects; settles
 * when the stream ends.
 */
export function converse(stream: Duplex, { lengthOctets, ...name }: Greeting): Promise<HandshakeReply> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    let status: Status | undefined;

    /** Undefined while bytes are missing. */
    const read = (): HandshakeReply | undefined => {
      for (let rest = received; ; ) {
        const framed = readMessage(rest, lengthOctets);
        if (framed.kind === "more") return undefined;
        if (framed.kind === "invalid") return { kind: "garbage", bytes: received };
        if (status) return { kind: "challenge", status, challenge: decodeChallenge(framed.message), rest: framed.rest };
        status = decodeStatus(framed.message);
        if (!GOES_ON.has(status.status)) return { kind: "refusal", status };
        rest = received = framed.rest;
      }
    };
    const closed = (code?: string): HandshakeReply => {
      if (received.length > 0) return { kind: "garbage", bytes: received };
      return { kind: "closed", status, code };
    };

    const settle = (reply: HandshakeReply) => {
      stream.off("data", take);
      stream.pause();
      resolve(reply);
    };
    const take = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const reply = read();
        if (reply) settle(reply);
      } catch (error) {
        // Any other error is a bug here; the caller must not wait for ever because of it.
        settle(error instanceof ProtocolError ? { kind: "garbage", bytes: received } : closed(String(error)));
      }
    };
    stream.on("data", take);
    stream.on("error", (error: NodeJS.ErrnoException) => resolve(closed(error.code ?? error.message)));
    stream.on("end", () => resolve(closed()));
    stream.on("close", () => resolve(closed()));
    stream.write(encodeSendName(name, lengthOctets));
  });
}
