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

/** What came back for a name. */
export type Said =
  | { readonly kind: "challenge"; readonly status: Status; readonly challenge: Challenge }
  /** An Erlang node, which will not go on with that name. */
  | { readonly kind: "refusal"; readonly status: Status }
  /** It ended before it had said all. */
  | {
      readonly kind: "closed";
      /** What it had said before. */
      readonly status: Status | undefined;
      /** `ECONNRESET`, or what TLS says; undefined when it just hung up. */
      readonly code: string | undefined;
    }
  /** The first bytes of something else. */
  | { readonly kind: "garbage"; readonly bytes: Buffer };

export interface Greeting extends SendName {
  readonly lengthOctets: LengthOctets;
}

/** Statuses that a challenge follows (dist_util:handshake_other_started/1). */
const GOES_ON = new Set<Status["status"]>(["ok", "ok_simultaneous", "named"]);

/**
 * Sends a name and reads what comes, up to the challenge; the caller ends the stream. Never rejects, and settles at the
 * latest when the stream ends.
 */
export function converse(stream: Duplex, { lengthOctets, ...name }: Greeting): Promise<Said> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    let status: Status | undefined;

    /** Undefined while bytes are missing. */
    const read = (): Said | undefined => {
      for (let rest = received; ; ) {
        const framed = readMessage(rest, lengthOctets);
        if (framed.kind === "more") return undefined;
        if (framed.kind === "invalid") return { kind: "garbage", bytes: received };
        if (status) return { kind: "challenge", status, challenge: decodeChallenge(framed.message) };
        status = decodeStatus(framed.message);
        if (!GOES_ON.has(status.status)) return { kind: "refusal", status };
        rest = received = framed.rest;
      }
    };
    const closed = (code?: string): Said => {
      if (received.length > 0) return { kind: "garbage", bytes: received };
      return { kind: "closed", status, code };
    };

    stream.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const said = read();
        if (said) resolve(said);
      } catch (error) {
        // Anything else is a bug here, and must not leave the caller waiting.
        resolve(error instanceof ProtocolError ? { kind: "garbage", bytes: received } : closed(String(error)));
      }
    });
    stream.on("error", (error: NodeJS.ErrnoException) => resolve(closed(error.code ?? error.message)));
    stream.on("end", () => resolve(closed()));
    stream.on("close", () => resolve(closed()));
    stream.write(encodeSendName(name, lengthOctets));
  });
}
