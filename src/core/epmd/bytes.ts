import { ProtocolError } from "../errors.js";

/** Reads a message front to back; what is not there is a ProtocolError, never a RangeError. */
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
