import { Buffer } from "node:buffer";
import type { IpPort } from "../../config/network-values.js";
import { layoutOf, TYPE } from "../../dns/wire/layout.js";
import { FLAG } from "../../dns/wire/message.js";
import { ProtocolError } from "../../errors.js";
import { familyOf, isWildcard } from "../../net/ip.js";

/** SERVFAIL and REFUSED: another server may do better. */
const TRY_ANOTHER = [2, 5];
const OPCODE_AND_RCODE = 0x780f;

/** The message with another id, all else as it was. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** A server that says only that it cannot or will not answer, or shows it: a lame one has nothing and asks nobody. */
export function isRefusal(response: Buffer): boolean {
  return TRY_ANOTHER.includes(rcodeOf(response)) || isLame(response);
}

/** To a query that asked for recursion: NOERROR, no answer, neither AA nor RA, and no SOA to deny it (RFC 2308 section 2.2). */
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
 * Whether a name server is the one that listens here: asking it would be asking ourselves.
 * @param isOwnAddress of a canonical address: whether it is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: IpPort, server: IpPort, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` takes IPv4 too; 0.0.0.0 does not take IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // Connecting to a wildcard is connecting to the loopback.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}
