import { Buffer } from "node:buffer";
import type { IpPort } from "../../config/network-values.js";
import { FLAG } from "../../dns/wire/message.js";
import { layoutOf, TYPE } from "../../dns/wire/record.js";
import { ProtocolError } from "../../errors.js";
import { familyOf, isWildcard } from "../../net/ip.js";

/** SERVFAIL and REFUSED: another server may do better. */
const TRY_ANOTHER = [2, 5];
const OPCODE_AND_RCODE = 0x780f;

/** A copy of the message with another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** SERVFAIL or REFUSED, or the response of a lame server: another server may have the answer. */
export function isRefusal(response: Buffer): boolean {
  return TRY_ANOTHER.includes(rcodeOf(response)) || isLame(response);
}

/** The query asked for recursion; the response is NOERROR without answers, AA, RA and SOA (RFC 2308 section 2.2). */
function isLame(response: Buffer): boolean {
  const flags = response.readUInt16BE(2);
  const isEmpty = (flags & OPCODE_AND_RCODE) === 0 && response.readUInt16BE(6) === 0;
  if (!isEmpty || (flags & (FLAG.aa | FLAG.ra | FLAG.tc)) !== 0 || (flags & FLAG.rd) === 0) return false;
  try {
    const authorities = layoutOf(response).records.slice(0, response.readUInt16BE(8));
    return !authorities.some(({ type }) => type === TYPE.SOA);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

function rcodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

/**
 * Whether a name server is the one that listens here: a query to it would be a query to ourselves.
 * @param isOwnAddress whether a canonical address is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: IpPort, server: IpPort, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` accepts IPv4 too; 0.0.0.0 does not accept IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // A connection to a wildcard address goes to the loopback address.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}
