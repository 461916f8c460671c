import { Buffer } from "node:buffer";
import { HEADER_LENGTH, layoutOf } from "./layout.js";
import { decodeMessage, FLAG, rcodeNumber, UDP_PAYLOAD_SIZE } from "./message.js";

/** Octets that every DNS client takes over UDP. */
const MIN_UDP_PAYLOAD = 512;

/** The length of a message over TCP stands in two octets (RFC 1035 section 4.2.2). */
export const MAX_TCP_SIZE = 65_535;

/** What can be told the sender of bytes that are no message; undefined when they are no query either. */
export function formatErrorFor(bytes: Buffer): Buffer | undefined {
  if (bytes.length < HEADER_LENGTH) return undefined;
  const flags = bytes.readUInt16BE(2);
  // A response is never answered: two servers would send each other FORMERR for ever.
  if (flags & FLAG.response) return undefined;
  const response = Buffer.alloc(HEADER_LENGTH);
  response.writeUInt16BE(bytes.readUInt16BE(0), 0);
  response.writeUInt16BE(FLAG.response | (flags & (0x7800 | FLAG.rd)) | rcodeNumber("FORMERR"), 2);
  return response;
}

/** A response too long for its transport: its header with TC set, its question, and nothing else (RFC 2181 section 9). */
export function truncateResponse(response: Buffer): Buffer {
  const { questionEnd } = layoutOf(response);
  const short = Buffer.from(response.subarray(0, questionEnd));
  short.writeUInt16BE(short.readUInt16BE(2) | FLAG.tc, 2);
  short.fill(0, 6, HEADER_LENGTH);
  return short;
}

/** How long a response over UDP may be, octets: what the query's OPT record allows, 512 without one (RFC 1035 section 4.2.1). */
export function udpSizeOf(query: Buffer): number {
  const offered = decodeMessage(query).edns?.udpPayloadSize ?? MIN_UDP_PAYLOAD;
  // RFC 6891 section 6.2.3: less than 512 means 512. More than our own limit would come in fragments.
  return Math.min(Math.max(offered, MIN_UDP_PAYLOAD), UDP_PAYLOAD_SIZE);
}
