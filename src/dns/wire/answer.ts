import type { Buffer } from "node:buffer";
import { ProtocolError } from "../../errors.js";
import { type Message, RCODES, type Rcode } from "./message.js";
import {
  canonicalName,
  HEADER_LENGTH,
  isResponse,
  type QueryType,
  questionLayoutOf,
  type ResourceRecord,
  typeName,
} from "./record.js";

/** What was asked, as far as an answer has to match it. */
export interface Asked {
  readonly id: number;
  readonly qname: string;
  readonly qtype: QueryType;
}

/** An answer that ends the query. TTLs are seconds. */
export type Settled =
  | {
      readonly kind: "records";
      /** Of the type asked for; never empty. */
      readonly records: readonly ResourceRecord[];
      readonly additionals: readonly ResourceRecord[];
      /** Lowest of the records and the CNAMEs that lead to them. */
      readonly ttl: number;
      /** Owner of the records: the end of the CNAME chain. */
      readonly canonicalName: string;
    }
  /** A CNAME without records of its target: the target has to be asked for. */
  | { readonly kind: "alias"; readonly target: string; readonly ttl: number }
  | { readonly kind: "nodata" | "nxdomain"; readonly ttl: number };

/** Why a message that answers the query is of no use. */
export type Unsettled =
  | Exclude<Rcode, "NOERROR" | "NXDOMAIN">
  | "CNAME loop"
  /** An empty answer of a server that neither has the zone nor recurses. */
  | "lame"
  | "another name";

/** The meaning of a message that answers the query. */
export type Answer =
  | Settled
  /** @param partial the records that came, for when no server gives the whole answer; their TTL is 0 */
  | { readonly kind: "truncated"; readonly partial: Settled | undefined }
  | {
      readonly kind: "failed";
      readonly reason: Unsettled;
      /** The name in the answer. */
      readonly detail?: string | undefined;
    };

/** Response codes that a server may give without repeating a question it could not or would not read. */
const WITHOUT_QUESTION: readonly Rcode[] = ["FORMERR", "NOTIMP", "SERVFAIL", "REFUSED"];
const OPCODE = 0x78;
/** The bit in which an upper-case letter differs from the lower-case one. */
const CASE = 0x20;

/**
 * Whether a message is the response to a query: its id, opcode and question are those of the query. What stands behind
 * the question is not looked at. Other messages may come from anybody and are ignored.
 */
export function answersQuery(response: Buffer, query: Buffer): boolean {
  if (response.length < HEADER_LENGTH || !isResponse(response)) return false;
  if (response.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  if ((response.readUInt8(2) & OPCODE) !== (query.readUInt8(2) & OPCODE)) return false;
  const rcode = RCODES[response.readUInt8(3) & 0xf];
  if (response.readUInt16BE(4) === 0 && rcode !== undefined && WITHOUT_QUESTION.includes(rcode)) return true;
  try {
    return sameQuestions(response, query);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

function sameQuestions(response: Buffer, query: Buffer): boolean {
  const mine = questionLayoutOf(query);
  const theirs = questionLayoutOf(response);
  if (mine.questionEnd !== theirs.questionEnd || mine.questions.length !== theirs.questions.length) return false;
  const inName = (offset: number) =>
    mine.questions.some(({ nameOffset, typeOffset }) => offset >= nameOffset && offset < typeOffset);
  for (let offset = HEADER_LENGTH; offset < mine.questionEnd; offset++) {
    const [a = 0, b = 0] = [query[offset], response[offset]];
    // RFC 4343: names know no case, and some servers do not keep it.
    if (a !== b && !(inName(offset) && isLetter(a) && (a ^ b) === CASE)) return false;
  }
  return true;
}

function isLetter(octet: number): boolean {
  const lower = octet | CASE;
  return lower >= 0x61 && lower <= 0x7a;
}

/** Why a message with the id of the query does not answer it; undefined for a message that may be forged. */
export function whyNoAnswer(message: Message, asked: Asked): { reason: string; detail?: string } | undefined {
  if (message.kind !== "response" || message.id !== asked.id) return undefined;
  const [question] = message.questions;
  if (!question) return { reason: "no question" };
  if (question.qname !== canonicalName(asked.qname)) return { reason: "another name", detail: question.qname };
  return { reason: "another question" };
}

/** Reads a message that `answersQuery` has accepted. */
export function readAnswer(message: Message, asked: Pick<Asked, "qname" | "qtype">): Answer {
  if (message.rcode !== "NOERROR" && message.rcode !== "NXDOMAIN") return { kind: "failed", reason: message.rcode };
  const answer = readSections(message, asked);
  if (!message.tc) return answer;
  // RFC 2181 section 9: records may be missing, so that no records do not mean an absence.
  const isUsable = answer.kind === "records" || answer.kind === "alias" || answer.kind === "nxdomain";
  return { kind: "truncated", partial: isUsable ? { ...answer, ttl: 0 } : undefined };
}

function readSections(message: Message, { qname, qtype }: Pick<Asked, "qname" | "qtype">): Answer {
  const { answers } = message;
  let owner = canonicalName(qname);
  let ttl = Number.POSITIVE_INFINITY;
  const visited = new Set<string>();
  for (;;) {
    const name = owner;
    const records = answers.filter((record) => record.type === qtype && record.owner === name);
    if (records.length > 0) {
      const lowest = Math.min(ttl, ...records.map((record) => record.ttl));
      return { kind: "records", records, additionals: message.additionals, ttl: lowest, canonicalName: owner };
    }
    const cname = answers.find((record) => record.type === "CNAME" && record.owner === name);
    if (cname?.type !== "CNAME") break;
    visited.add(owner);
    if (visited.has(cname.target)) return { kind: "failed", reason: "CNAME loop" };
    owner = cname.target;
    ttl = Math.min(ttl, cname.ttl);
  }
  // RFC 6604 section 3: the response code is about the end of the chain.
  if (message.rcode === "NXDOMAIN") return { kind: "nxdomain", ttl: Math.min(ttl, negativeTtl(message)) };
  const soa = message.authorities.some((record) => record.type === "SOA");
  if (visited.size > 0 && !soa) return { kind: "alias", target: owner, ttl };
  const others = answers.find((record) => record.type === qtype || record.type === "CNAME");
  if (visited.size === 0 && others) return { kind: "failed", reason: "another name", detail: others.owner };
  // RFC 1034 section 4.3.1: neither authoritative nor recursive. (NODATA of a cache has a SOA: RFC 2308 section 2.2.)
  if (!message.aa && !message.ra && !soa && answers.length === 0) return { kind: "failed", reason: "lame" };
  return { kind: "nodata", ttl: Math.min(ttl, negativeTtl(message)) };
}

/** RFC 2308 section 5: the lower of the SOA's TTL and its minimum; without a SOA an absence is not cached. */
function negativeTtl(message: Message): number {
  const soa = message.authorities.find((record) => record.type === "SOA");
  return soa?.type === "SOA" ? Math.min(soa.ttl, soa.minimum) : 0;
}

export interface Records {
  readonly kind: "records";
  /** Of the type asked for; never empty. */
  readonly records: readonly ResourceRecord[];
  /** Additional section of the same answer. */
  readonly additionals: readonly ResourceRecord[];
  /** Seconds for which the answer still holds; 0 when stale. */
  readonly ttl: number;
  /** The last good answer, because no name server gives a new one (RFC 8767). */
  readonly stale: boolean;
  /** Owner of the records: the end of the CNAME chain. */
  readonly canonicalName: string;
  /** `127.0.0.1:8600` */
  readonly server: string;
}

export interface Absence {
  readonly kind: "nodata" | "nxdomain";
  /** Seconds. */
  readonly ttl: number;
  /** Undefined for a name that DNS cannot carry: no server was asked. */
  readonly server: string | undefined;
}

/** Why no name server answered; stable. */
export type DnsFailureCode = "DNS_TIMEOUT" | "DNS_REFUSED" | "DNS_SERVFAIL" | "DNS_BAD_ANSWER" | "DNS_UNREACHABLE";

export interface DnsFailure {
  readonly kind: "unavailable";
  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  readonly cause: string;
  readonly code: DnsFailureCode;
}

/** What a query for the records of a name and type gave. */
export type DnsResult = Records | Absence | DnsFailure;

/** Presentation form: `node_a.example. 0 SRV 1 1 9100 host.example.` */
export function presentRecord(record: ResourceRecord): string {
  return `${record.owner}. ${record.ttl} ${presentRdata(record)}`;
}

function presentRdata(record: ResourceRecord): string {
  switch (record.type) {
    case "A":
    case "AAAA":
      return `${record.type} ${record.address}`;
    case "CNAME":
    case "PTR":
      return `${record.type} ${record.target}.`;
    case "SRV":
      return `SRV ${record.priority} ${record.weight} ${record.port} ${record.target}.`;
    case "SOA":
      return `SOA ${record.mname}. ${record.rname}. ${record.serial} ${record.minimum}`;
    case "other":
      return typeName(record.typeCode);
    default:
      return record satisfies never;
  }
}
