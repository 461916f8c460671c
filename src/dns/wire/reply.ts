import { Buffer } from "node:buffer";
import { type Zone, zoneAnswer } from "../core/zone.js";
import { HEADER_LENGTH, isResponse, questionLayoutOf } from "./layout.js";
import {
  decodeMessage,
  encodeResponse,
  FLAG,
  type Message,
  type ResponseFields,
  rcodeNumber,
  UDP_PAYLOAD_SIZE,
} from "./message.js";

/** Octets that every DNS client accepts over UDP. */
export const MIN_UDP_PAYLOAD = 512;

/** The length of a message over TCP stands in two octets (RFC 1035 section 4.2.2). */
export const MAX_TCP_SIZE = 65_535;

/** FORMERR for bytes that are no message; undefined when they are no query either. */
export function formatErrorFor(bytes: Buffer): Buffer | undefined {
  if (bytes.length < HEADER_LENGTH || isResponse(bytes)) return undefined;
  const flags = bytes.readUInt16BE(2);
  const response = Buffer.alloc(HEADER_LENGTH);
  response.writeUInt16BE(bytes.readUInt16BE(0), 0);
  response.writeUInt16BE(FLAG.response | (flags & (0x7800 | FLAG.rd)) | rcodeNumber("FORMERR"), 2);
  return response;
}

/** A response too long for its transport: its header with TC set, its question, and nothing else (RFC 2181 section 9). */
export function truncateResponse(response: Buffer): Buffer {
  const { questionEnd } = questionLayoutOf(response);
  const short = Buffer.from(response.subarray(0, questionEnd));
  short.writeUInt16BE(short.readUInt16BE(2) | FLAG.tc, 2);
  short.fill(0, 6, HEADER_LENGTH);
  return short;
}

/**
 * How long a response over UDP may be, octets: what the query's OPT record allows, 512 without one (RFC 1035 section 4.2.1).
 * @param most octets that we send at most; default: what fits any path without fragments
 * @throws ProtocolError DNS_MESSAGE
 */
export function udpSizeOf(query: Buffer, most: number = UDP_PAYLOAD_SIZE): number {
  const offered = decodeMessage(query).edns?.udpPayloadSize ?? MIN_UDP_PAYLOAD;
  // RFC 6891 section 6.2.3: less than 512 means 512.
  return Math.min(Math.max(offered, MIN_UDP_PAYLOAD), most);
}

/**
 * The response of an authoritative server to the bytes of a query. The responder truncates it.
 * @throws ProtocolError DNS_MESSAGE
 */
export function answerFromZone(bytes: Buffer, zone: Zone): Buffer {
  const query = decodeMessage(bytes);
  return encodeResponse(query, answerTo(query, zone));
}

function answerTo(query: Message, zone: Zone): ResponseFields {
  const empty = { aa: false, answers: [], authorities: [], additionals: [] };
  if (query.opcode !== 0) return { rcode: "NOTIMP", ...empty };
  // RFC 6891 section 6.1.3: we know version 0 only.
  if (query.edns && query.edns.version !== 0) return { rcode: "BADVERS", ...empty };
  const [question, second] = query.questions;
  // RFC 9619: a query has one question.
  if (question === undefined || second !== undefined) return { rcode: "FORMERR", ...empty };
  return zoneAnswer(question, zone);
}
