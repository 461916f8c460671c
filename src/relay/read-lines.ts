import type { Duplex } from "node:stream";
import { ProtocolError } from "../errors.js";
import { readLine } from "./wire/protocol.js";

export interface LineTaker {
  /** Longest line, bytes. */
  readonly limit: number;
  /** False: no further line is wanted. May throw a ProtocolError. */
  readonly onLine: (line: string) => boolean;
  /** Nothing is read after it. */
  readonly onInvalid: (reason: string) => void;
}

/** Cuts what comes into lines. */
export function readLines(stream: Duplex, { limit, onLine, onInvalid }: LineTaker): void {
  let bytes: Buffer = Buffer.alloc(0);
  let done = false;
  const finish = (reason: string) => {
    done = true;
    onInvalid(reason);
  };
  stream.on("data", (chunk: Buffer) => {
    if (done) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (!done) {
      const read = readLine(bytes, limit);
      if (read.kind === "more") return;
      if (read.kind === "invalid") return finish(read.reason);
      bytes = read.rest;
      try {
        done = !onLine(read.line);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        finish(error.message);
      }
    }
  });
}
