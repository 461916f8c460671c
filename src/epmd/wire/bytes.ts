import { ProtocolError } from "../../errors.js";

/** Reads a message from its start; a read beyond its end throws a ProtocolError, never a RangeError. */
export class ByteReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.take(1).readUInt8(0);
  }

  uint16(): number {
    return this.take(2).readUInt16BE(0);
  }

  uint32(): number {
    return this.take(4).readUInt32BE(0);
  }

  take(length: number): Buffer {
    if (length > this.left) {
      throw new ProtocolError("EPMD_MESSAGE", `message ends ${length - this.left} bytes too early`);
    }
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  /** A 16-bit length and that many bytes. */
  counted(): Buffer {
    return this.take(this.uint16());
  }

  remaining(): Buffer {
    return this.take(this.left);
  }
}

export function uint16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Strict UTF-8, as epmd_srv.c checks it; undefined when the bytes are not. A BOM is a character like any other. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * EPMD requests are a 16-bit length and that many bytes; responses have no length and end with the connection.
 * epmd_srv.c refuses a request longer than its buffer (3 * 1020 bytes) as soon as it has read the length.
 */
export const MAX_REQUEST = 3057;

export type FrameRead =
  | { readonly kind: "frame"; readonly frame: Buffer; readonly rest: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "invalid"; readonly reason: string };

/** Takes the first frame off the bytes that have arrived. */
export function readFrame(bytes: Buffer): FrameRead {
  if (bytes.length < 2) return { kind: "more" };
  const length = bytes.readUInt16BE(0);
  if (length === 0 || length > MAX_REQUEST) {
    return { kind: "invalid", reason: `request length ${length} is not 1..${MAX_REQUEST}` };
  }
  if (bytes.length < 2 + length) return { kind: "more" };
  return { kind: "frame", frame: bytes.subarray(2, 2 + length), rest: bytes.subarray(2 + length) };
}
