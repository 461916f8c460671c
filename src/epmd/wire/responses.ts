import { ProtocolError } from "../../errors.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { formatIp, parseIp } from "../../net/ip.js";
import type { NodeDescription } from "../../resolve/core/resolution.js";
import { ByteReader, decodeUtf8, uint16 } from "./codec.js";
import { type NamedPort, TAG } from "./messages.js";

/** The answer to ALIVE2_REQ. Its tag gives its length, because the connection stays open. */
export type Alive2Answer = { readonly result: number; readonly creation: number };

/** Undefined while bytes are missing. @throws ProtocolError */
export function decodeAlive2Response(bytes: Buffer): Alive2Answer | undefined {
  const tag = bytes[0];
  if (tag === undefined) return undefined;
  if (tag !== TAG.ALIVE2_RESP && tag !== TAG.ALIVE2_X_RESP) {
    throw new ProtocolError("EPMD_MESSAGE", `ALIVE2_REQ was answered with tag ${tag}`);
  }
  if (bytes.length < (tag === TAG.ALIVE2_X_RESP ? 6 : 4)) return undefined;
  const reader = new ByteReader(bytes.subarray(1));
  return { result: reader.uint8(), creation: tag === TAG.ALIVE2_X_RESP ? reader.uint32() : reader.uint16() };
}

export type Port2Answer = NodeDescription & { readonly port: number; readonly aliveName: string };

/** The whole answer to PORT_PLEASE2_REQ; undefined: no such node there. @throws ProtocolError */
export function decodePort2Response(bytes: Buffer): Port2Answer | undefined {
  const reader = new ByteReader(bytes);
  const tag = reader.uint8();
  if (tag !== TAG.PORT2_RESP) throw new ProtocolError("EPMD_MESSAGE", `PORT_PLEASE2_REQ was answered with tag ${tag}`);
  if (reader.uint8() !== 0) return undefined;
  const port = reader.uint16();
  const nodeType = reader.uint8();
  const protocol = reader.uint8();
  const highestVersion = reader.uint16();
  const lowestVersion = reader.uint16();
  const aliveName = decodeUtf8(reader.counted());
  if (aliveName === undefined) throw new ProtocolError("EPMD_MESSAGE", "answer with a name that is not UTF-8");
  const extra = Buffer.from(reader.counted());
  return { port, nodeType, protocol, highestVersion, lowestVersion, aliveName, extra };
}

/** Why a srv-epmd did not find a full name: text behind the two bytes (119, 1) of every EPMD. */
export function decodePort2Reason(bytes: Buffer): string | undefined {
  const isRefusal = bytes[0] === TAG.PORT2_RESP && bytes.length > 2 && bytes[1] !== 0;
  return isRefusal ? decodeUtf8(bytes.subarray(2)) : undefined;
}

export interface NamesAnswer {
  /** The port that the EPMD says it listens on. */
  readonly epmdPort: number;
  /** Full names, with an `@`, when the EPMD was asked with a pattern and knows patterns. */
  readonly names: readonly NamedPort[];
}

/** The whole answer to NAMES_REQ. Lines that are not of the format are passed over, as clients do. @throws ProtocolError */
export function decodeNamesResponse(bytes: Buffer): NamesAnswer {
  const reader = new ByteReader(bytes);
  const epmdPort = reader.uint32();
  // The field has 32 bits and holds a port: a program that sends a larger value is no EPMD.
  if (epmdPort > 65535) throw new ProtocolError("EPMD_MESSAGE", `NAMES_REQ was answered with port ${epmdPort}`);
  const names = reader
    .remaining()
    .toString("utf8")
    .split("\n")
    .map((line) => /^name (.+) at port ([0-9]+)$/s.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ name: match[1] ?? "", port: Number(match[2]) }));
  return { epmdPort, names };
}

/** No EPMD takes or gives more (epmd_int.h, MAXSYMLEN); that is 145 IPv4 or 53 IPv6 endpoints, the first in order. */
const MAX_EXTRA = 1020;

/**
 * Endpoints in the Extra field of PORT2_RESP, for clients that asked with a host part: for each, in the order in
 * which to try them, the family (4 or 6), the 4 or 16 address bytes and the 16-bit port.
 */
export function encodeEndpoints(endpoints: readonly Pick<Endpoint, "address" | "port" | "family">[]): Buffer {
  let length = 0;
  const encoded: Buffer[] = [];
  for (const { address, port, family } of endpoints) {
    const bytes = Buffer.concat([Buffer.of(family), Buffer.from(parseIp(address) ?? []), uint16(port)]);
    length += bytes.length;
    if (length > MAX_EXTRA) break;
    encoded.push(bytes);
  }
  return Buffer.concat(encoded);
}

/** @throws ProtocolError */
export function decodeEndpoints(extra: Buffer): { address: string; port: number; family: Family }[] {
  const reader = new ByteReader(extra);
  const endpoints: { address: string; port: number; family: Family }[] = [];
  while (reader.left > 0) {
    const family = reader.uint8();
    if (family !== 4 && family !== 6) throw new ProtocolError("EPMD_MESSAGE", `endpoint of family ${family}`);
    endpoints.push({ family, address: formatIp(reader.take(family === 4 ? 4 : 16)), port: reader.uint16() });
  }
  return endpoints;
}
