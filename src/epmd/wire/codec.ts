import { ProtocolError } from "../../errors.js";
import { isNamePattern } from "../../names/node-name.js";
import type { NodeDescription } from "../../resolve/core/resolution.js";
import { type EpmdRequest, type EpmdResponse, type NamedPort, type PortPlease2Request, TAG } from "./messages.js";

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
    return this.#bytes.readUInt8(this.#pass(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#pass(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#pass(4));
  }

  take(length: number): Buffer {
    const start = this.#pass(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A 16-bit length and that many bytes. */
  counted(): Buffer {
    return this.take(this.uint16());
  }

  remaining(): Buffer {
    return this.take(this.left);
  }

  /** @returns where these bytes begin */
  #pass(length: number): number {
    if (length > this.left) {
      throw new ProtocolError("EPMD_MESSAGE", `message ends ${length - this.left} bytes too early`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
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

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strict UTF-8, as epmd_srv.c checks it; undefined when the bytes are not. A BOM is a character like any other. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return STRICT_UTF8.decode(bytes);
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

const NOTHING = Buffer.alloc(0);

/** Takes the first frame off the bytes that have arrived. */
export function readFrame(bytes: Buffer): FrameRead {
  if (bytes.length < 2) return { kind: "more" };
  const length = bytes.readUInt16BE(0);
  if (length === 0 || length > MAX_REQUEST) {
    return { kind: "invalid", reason: `request length ${length} is not 1..${MAX_REQUEST}` };
  }
  if (bytes.length < 2 + length) return { kind: "more" };
  const end = 2 + length;
  return { kind: "frame", frame: bytes.subarray(2, end), rest: bytes.length === end ? NOTHING : bytes.subarray(end) };
}

/** epmd_int.h: MAXSYMLEN, 255 characters of up to 4 bytes. The same limit holds for extra. */
const MAX_SYMBOL_BYTES = 4 * 255;
const MAX_NAME_CHARACTERS = 255;
/** epmd_srv.c: the fixed fields of ALIVE2_REQ, and at least one byte more. */
const ALIVE2_FIXED_LENGTH = 13;

/** @throws ProtocolError for what stock EPMD closes without an answer. @param frame without the length */
export function decodeRequest(frame: Buffer): EpmdRequest {
  const reader = new ByteReader(frame);
  const opcode = reader.uint8();
  switch (opcode) {
    case TAG.ALIVE2_REQ:
      return decodeAlive2(reader, frame.length);
    case TAG.PORT_PLEASE2_REQ:
      return decodePortPlease2(reader.remaining());
    case TAG.NAMES_REQ:
      return decodeNames(reader.remaining());
    // What follows these two opcodes is ignored, as in epmd_srv.c.
    case TAG.DUMP_REQ:
      return { type: "DUMP_REQ" };
    case TAG.KILL_REQ:
      return { type: "KILL_REQ" };
    case TAG.STOP_REQ:
      return { type: "STOP_REQ", aliveName: decodeName(dropTrailingNul(reader.remaining())) };
    case TAG.LINKS_REQ:
      return { type: "LINKS_REQ", aliveName: decodeName(reader.remaining()) };
    default:
      throw new ProtocolError("EPMD_MESSAGE", `unknown request ${opcode}`);
  }
}

function decodeAlive2(reader: ByteReader, length: number): EpmdRequest {
  if (length <= ALIVE2_FIXED_LENGTH) throw new ProtocolError("EPMD_MESSAGE", `ALIVE2_REQ of ${length} bytes`);
  const port = reader.uint16();
  const nodeType = reader.uint8();
  const protocol = reader.uint8();
  const highestVersion = reader.uint16();
  const lowestVersion = reader.uint16();
  const nameBytes = reader.counted();
  const extra = Buffer.from(reader.counted());
  if (nameBytes.includes(0)) throw new ProtocolError("EPMD_MESSAGE", "NUL in a name");
  const refused = (reason: string) => ({ type: "ALIVE2_REQ_REFUSED", highestVersion, reason }) as const;
  if (nameBytes.length > MAX_SYMBOL_BYTES) return refused(`name of ${nameBytes.length} bytes`);
  if (extra.length > MAX_SYMBOL_BYTES) return refused(`extra of ${extra.length} bytes`);
  const aliveName = decodeUtf8(nameBytes);
  if (aliveName === undefined) return refused("name is not UTF-8");
  if (hasMoreCharacters(aliveName, MAX_NAME_CHARACTERS)) return refused("name of more than 255 characters");
  return { type: "ALIVE2_REQ", port, nodeType, protocol, highestVersion, lowestVersion, aliveName, extra };
}

/** epmd_srv.c ignores what follows the opcode; we do too, unless it is a pattern. */
function decodeNames(bytes: Buffer): EpmdRequest {
  const pattern = decodeUtf8(dropTrailingNul(bytes));
  return pattern !== undefined && isNamePattern(pattern) ? { type: "NAMES_REQ", pattern } : { type: "NAMES_REQ" };
}

function decodePortPlease2(bytes: Buffer): EpmdRequest {
  const nameBytes = dropTrailingNul(bytes);
  const name = decodeName(nameBytes);
  // Clients of the module send a host part behind an @.
  const at = name.indexOf("@");
  if (hasMoreCharacters(at < 0 ? name : name.slice(0, at), MAX_NAME_CHARACTERS)) {
    throw new ProtocolError("EPMD_MESSAGE", "name of more than 255 characters");
  }
  const forwarded = nameBytes.length < bytes.length;
  return { type: "PORT_PLEASE2_REQ", name, withHost: at >= 0, forwarded };
}

/** epmd_srv.c tolerates one NUL behind a name. */
function dropTrailingNul(bytes: Buffer): Buffer {
  return bytes[bytes.length - 1] === 0 ? bytes.subarray(0, -1) : bytes;
}

function decodeName(bytes: Buffer): string {
  const name = bytes.includes(0) ? undefined : decodeUtf8(bytes);
  if (name === undefined || name === "") throw new ProtocolError("EPMD_MESSAGE", "name is empty or not UTF-8");
  return name;
}

/** A character is one or two units of a string's length. */
function hasMoreCharacters(text: string, most: number): boolean {
  return text.length > most && Array.from(text).length > most;
}

/** A request as a client gives it: `withHost` follows from the name, and is set by the decoder. */
type SentRequest =
  | Exclude<EpmdRequest, PortPlease2Request | { type: "ALIVE2_REQ_REFUSED" }>
  | Omit<PortPlease2Request, "withHost">;

/** The request with its length, as a client sends it. */
export function encodeRequest(request: SentRequest): Buffer {
  const body = encodeRequestBody(request);
  return Buffer.concat([uint16(body.length), body]);
}

function encodeRequestBody(request: SentRequest): Buffer {
  switch (request.type) {
    case "ALIVE2_REQ":
      return encodeAlive2Request(request);
    case "PORT_PLEASE2_REQ":
      return Buffer.from(`${String.fromCharCode(TAG.PORT_PLEASE2_REQ)}${request.name}${request.forwarded ? "\0" : ""}`);
    case "STOP_REQ":
    case "LINKS_REQ":
      return Buffer.from(`${String.fromCharCode(TAG[request.type])}${request.aliveName}`);
    case "NAMES_REQ":
      return Buffer.from(`${String.fromCharCode(TAG.NAMES_REQ)}${request.pattern ?? ""}`);
    case "DUMP_REQ":
    case "KILL_REQ":
      return Buffer.of(TAG[request.type]);
    default:
      return request satisfies never;
  }
}

/** The whole response, to be sent in one write: clients may read it with one call. */
export function encodeResponse(response: EpmdResponse): Buffer {
  switch (response.type) {
    case "ALIVE2_RESP":
      return encodeAlive2Response(response);
    case "PORT2_RESP":
      return response.result === 1
        ? Buffer.concat([Buffer.of(TAG.PORT2_RESP, 1), Buffer.from(response.reason ?? "")])
        : encodePort2Response(response);
    case "NAMES_RESP":
      return encodeNames(
        response.epmdPort,
        response.nodes.map(({ aliveName, port }) => ({ name: aliveName, port })),
      );
    case "NAMES_MATCH_RESP":
      return encodeNames(response.epmdPort, response.names);
    case "DUMP_RESP":
      // epmd_srv.c sends each record with its terminating NUL. We keep no file descriptors: -1 says so.
      return Buffer.concat([
        uint32(response.epmdPort),
        Buffer.from(
          [
            ...response.nodes.map((node) => `active name     <${node.aliveName}> at port ${node.port}, fd = -1\n\0`),
            ...response.former.map((node) => `old/unused name <${node.aliveName}>, port = ${node.port}, fd = -1 \n\0`),
          ].join(""),
        ),
      ]);
    case "KILL_RESP":
    case "STOP_RESP":
      return Buffer.from(response.text);
    default:
      return response satisfies never;
  }
}

function encodeNames(epmdPort: number, names: readonly NamedPort[]): Buffer {
  const lines = names.map(({ name, port }) => `name ${name} at port ${port}\n`);
  return Buffer.concat([uint32(epmdPort), Buffer.from(lines.join(""))]);
}

function encodeAlive2Response({ extended, result, creation }: Extract<EpmdResponse, { type: "ALIVE2_RESP" }>): Buffer {
  return extended
    ? Buffer.concat([Buffer.of(TAG.ALIVE2_X_RESP, result), uint32(creation)])
    : // epmd_srv.c: nodes before version 6 know creations 1..3 only; a refusal carries its constant as it is.
      Buffer.concat([Buffer.of(TAG.ALIVE2_RESP, result), uint16(result === 0 ? (creation % 3) + 1 : creation)]);
}

type EncodedNode = NodeDescription & { readonly port: number; readonly aliveName: string };

const NODE_FIXED_LENGTH = 12;

function encodePort2Response(response: EncodedNode): Buffer {
  const nameLength = Buffer.byteLength(response.aliveName);
  const bytes = Buffer.allocUnsafe(2 + NODE_FIXED_LENGTH + nameLength + response.extra.length);
  bytes.writeUInt8(TAG.PORT2_RESP, 0);
  bytes.writeUInt8(0, 1);
  writeNode(bytes, 2, response, nameLength);
  return bytes;
}

function encodeAlive2Request(request: EncodedNode): Buffer {
  const nameLength = Buffer.byteLength(request.aliveName);
  const bytes = Buffer.allocUnsafe(1 + NODE_FIXED_LENGTH + nameLength + request.extra.length);
  bytes.writeUInt8(TAG.ALIVE2_REQ, 0);
  writeNode(bytes, 1, request, nameLength);
  return bytes;
}

/** The fields that ALIVE2_REQ and PORT2_RESP have in common, in the same order. @param nameLength bytes */
function writeNode(bytes: Buffer, start: number, node: EncodedNode, nameLength: number): void {
  const { extra } = node;
  bytes.writeUInt16BE(node.port, start);
  bytes.writeUInt8(node.nodeType, start + 2);
  bytes.writeUInt8(node.protocol, start + 3);
  bytes.writeUInt16BE(node.highestVersion, start + 4);
  bytes.writeUInt16BE(node.lowestVersion, start + 6);
  bytes.writeUInt16BE(nameLength, start + 8);
  bytes.write(node.aliveName, start + 10);
  bytes.writeUInt16BE(extra.length, start + 10 + nameLength);
  bytes.set(extra, start + NODE_FIXED_LENGTH + nameLength);
}
