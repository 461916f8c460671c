import { Buffer } from "node:buffer";
import { CLASS_IN, HEADER_LENGTH, questionLayoutOf } from "../../dns/wire/layout.js";
import { decodeMessage, encodeResponse, FLAG, type Message, rcodeNumber } from "../../dns/wire/message.js";
import type { AddressRecord, KnownRecord } from "../../dns/wire/record.js";
import type { ReverseQuestion } from "./reverse.js";

/**
 * The address of a host may change: by the next start another program may have it, and then the next free one stands
 * for the host. VMs that ask DNS themselves (`{lookup,[dns]}`) keep an answer for its TTL.
 */
const TTL = 0;
/** Where the opcode stands in the flags. */
const OPCODE = 0x7800;
const RCODE = 0x000f;

/** A or AAAA of a host of the gateway. @param address canonical IPv4 literal */
export function addressResponse(query: Buffer, host: string, qtype: "A" | "AAAA", address: string): Buffer {
  const message = decodeMessage(query);
  // An IPv4-mapped address makes inet6 VMs dial the IPv4 address, which every user may listen on.
  const literal = qtype === "A" ? address : `::ffff:${address}`;
  const record: AddressRecord = { type: qtype, owner: host, ttl: TTL, address: literal };
  return respond(message, [record]);
}

/**
 * RFC 2308 section 2.2: no data of this type, which says nothing of other types, those being others' to answer; without
 * a SOA it is not kept.
 */
export function noDataResponse(query: Buffer): Buffer {
  return respond(decodeMessage(query), []);
}

/** What there is to say of an address of the gateway. @param host that it stands for; undefined: for none */
export function reverseResponse(query: Buffer, { isPtr }: ReverseQuestion, host: string | undefined): Buffer {
  const message = decodeMessage(query);
  if (host === undefined) return respond(message, [], "NXDOMAIN");
  const owner = message.questions[0]?.qname ?? "";
  return respond(message, isPtr ? [{ type: "PTR", owner, ttl: TTL, target: host }] : []);
}

/** A response that is only its code, whatever kind of message is answered. @throws ProtocolError without a sound question section */
export function codeResponse(query: Buffer, rcode: "SERVFAIL" | "REFUSED"): Buffer {
  const { questionEnd } = questionLayoutOf(query);
  const response = Buffer.from(query.subarray(0, questionEnd));
  const kept = response.readUInt16BE(2) & (OPCODE | FLAG.rd);
  response.writeUInt16BE(FLAG.response | kept | FLAG.ra | rcodeNumber(rcode), 2);
  response.fill(0, 6, HEADER_LENGTH);
  return response;
}

/**
 * The response of another server about one of the gateway's hosts. RFC 8020: NXDOMAIN says that the name has records of
 * no type, and a cache between us and the asker would drop the addresses that we gave; so it becomes "none of this type".
 */
export function withoutNxdomain(response: Buffer): Buffer {
  const flags = response.readUInt16BE(2);
  const { questions } = questionLayoutOf(response);
  const [question, second] = questions;
  const isOneOfInternet = question && !second && question.class === CLASS_IN;
  if ((flags & RCODE) !== rcodeNumber("NXDOMAIN") || !isOneOfInternet) return response;
  const changed = Buffer.from(response);
  changed.writeUInt16BE(flags & ~RCODE, 2);
  return changed;
}

function respond(query: Message, answers: readonly KnownRecord[], rcode: "NOERROR" | "NXDOMAIN" = "NOERROR"): Buffer {
  // RFC 6891 section 6.1.3: a version that we do not speak.
  const known = query.edns === undefined || query.edns.version === 0;
  return encodeResponse(query, {
    rcode: known ? rcode : "BADVERS",
    aa: known,
    // Other questions are forwarded, and some resolvers turn away from a server that says it would not.
    ra: true,
    answers: known ? answers : [],
    authorities: [],
    additionals: [],
  });
}
