import type { Endpoint, Family } from "../endpoint.js";
import { ProtocolError } from "../errors.js";
import { formatIp, parseIp } from "../ip.js";
import { ByteReader, uint16 } from "./bytes.js";

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
