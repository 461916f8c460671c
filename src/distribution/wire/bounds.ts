import type { Buffer } from "node:buffer";
import { ByteReader } from "../../epmd/wire/codec.js";
import { ProtocolError } from "../../errors.js";

/** Reads a message from its start. @throws ProtocolError DIST_MESSAGE also where the message ends too early */
export function inBounds<T>(message: Buffer, read: (reader: ByteReader) => T): T {
  try {
    return read(new ByteReader(message));
  } catch (error) {
    if (!(error instanceof ProtocolError) || error.code === "DIST_MESSAGE") throw error;
    throw new ProtocolError("DIST_MESSAGE", "the message is too short", { cause: error });
  }
}
