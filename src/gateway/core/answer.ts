import { Buffer } from "node:buffer";
import { decodeMessage, encodeResponse, FLAG, type Message, rcodeNumber } from "../../dns/wire/message.js";
import {
  type AddressRecord,
  CLASS_IN,
  HEADER_LENGTH,
  type KnownRecord,
  questionLayoutOf,
} from "../../dns/wire/record.js";
import type { ReverseQuestion } from "./question.js";

/**
 * Seconds. The address of a host may change: when another program listens there at the next start, the host gets the next
 * free address. VMs that ask DNS themselves (`{lookup,[dns]}`) keep an answer for its TTL.
 */
const TTL = 0;
/** The bits of the opcode in the flags. */
const OPCODE = 0x7800;
const RCODE = 0x000f;

/** A or AAAA of a host of the gateway. @param address canonical IPv4 literal */
export function addressResponse(query: Buffer, host: string, qtype: "A" | "AAAA", address: string): Buffer {
  const message = decodeMessage(query);
  // An inet6 VM that gets an IPv4-mapped address dials the IPv4 address, which needs no privilege to listen on.
  const literal = qtype === "A" ? address : `::ffff:${address}`;
  const record: AddressRecord = { type: qtype, owner: host, ttl: TTL, address: literal };
  return respond(message, [record]);
}

/** RFC 2308 section 2.2: no data of this type. Without a SOA nobody caches it; other types are for other servers to answer. */
export function noDataResponse(query: Buffer): Buffer {
  return respond(decodeMessage(query), []);
}

/** The host of an address of the gateway. @param host undefined: the address stands for no host */
export function reverseResponse(query: Buffer, { isPtr }: ReverseQuestion, host: string | undefined): Buffer {
  const message = decodeMessage(query);
  if (host === undefined) return respond(message, [], "NXDOMAIN");
  const owner = message.questions[0]?.qname ?? "";
  return respond(message, isPtr ? [{ type: "PTR", owner, ttl: TTL, target: host }] : []);
}

/** A response with an rcode and no records, to any kind of message. @throws ProtocolError without a sound question section */
export function codeResponse(query: Buffer, rcode: "SERVFAIL" | "REFUSED"): Buffer {
  const { questionEnd } = questionLayoutOf(query);
  const response = Buffer.from(query.subarray(0, questionEnd));
  const kept = response.readUInt16BE(2) & (OPCODE | FLAG.rd);
  response.writeUInt16BE(FLAG.response | kept | FLAG.ra | rcodeNumber(rcode), 2);
  response.fill(0, 6, HEADER_LENGTH);
  return response;
}

/**
 * The response of another server about one of the gateway's hosts, with NXDOMAIN changed to "no data". RFC 8020: NXDOMAIN
 * means that the name has no records of any type, and a cache between us and the client would drop the addresses that we gave.
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
  // RFC 6891 section 6.1.3: an EDNS version that we do not know is BADVERS.
  const known = query.edns === undefined || query.edns.version === 0;
  return encodeResponse(query, {
    rcode: known ? rcode : "BADVERS",
    aa: known,
    // Other questions are forwarded: some resolvers stop asking a server without RA.
    ra: true,
    answers: known ? answers : [],
    authorities: [],
    additionals: [],
  });
}
