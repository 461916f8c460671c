import type { Buffer } from "node:buffer";
import { decodeMessage, encodeResponse, type Message, type ResponseFields } from "./message.js";
import { type Zone, zoneAnswer } from "./zone.js";

/**
 * The response of an authoritative server to the bytes of a query. Not truncated: that is for who knows the transport.
 * @throws ProtocolError DNS_MESSAGE
 */
export function answerFromZone(bytes: Buffer, zone: Zone): Buffer {
  const query = decodeMessage(bytes);
  return encodeResponse(query, answerTo(query, zone));
}

function answerTo(query: Message, zone: Zone): ResponseFields {
  const empty = { aa: false, answers: [], authorities: [], additionals: [] };
  if (query.opcode !== 0) return { rcode: "NOTIMP", ...empty };
  // RFC 6891 section 6.1.3: a version that we do not speak.
  if (query.edns && query.edns.version !== 0) return { rcode: "BADVERS", ...empty };
  const [question, second] = query.questions;
  // RFC 9619: a query has one question.
  if (question === undefined || second !== undefined) return { rcode: "FORMERR", ...empty };
  return zoneAnswer(question, zone);
}
