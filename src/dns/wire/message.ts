import { Buffer } from "node:buffer";
import * as packet from "dns-packet";
import { ProtocolError } from "../../errors.js";
import { formatIp, parseIp } from "../../net/ip.js";
import {
  CLASS_IN,
  canonicalName,
  HEADER_LENGTH,
  isResponse,
  type KnownRecord,
  layoutOf,
  malformed,
  nameProblem,
  type Question,
  type QuestionLayout,
  questionLayoutOf,
  type RecordLayout,
  type ResourceRecord,
  TYPE,
  typeName,
} from "./record.js";

/** Response codes by number (RFC 1035 section 4.1.1); above 15 with EDNS(0), such as BADVERS 16. */
export const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"] as const;
export type Rcode = (typeof RCODES)[number] | "BADVERS" | `RCODE${number}`;

/** The size that we accept over UDP: it fits any path without fragments (DNS flag day 2020). */
export const UDP_PAYLOAD_SIZE = 1232;
const BADVERS = 16;
export const FLAG = { response: 0x8000, aa: 0x0400, tc: 0x0200, rd: 0x0100, ra: 0x0080 } as const;
/** RFC 6895: private use. */
const PRIVATE_TYPE = 0xff00;
/**
 * Records that are read of one message. 64 KiB hold 4,000, which take a tenth of a second when their names are long; no
 * node has so many endpoints. A query has records for EDNS(0) and the like.
 */
const MAX_RECORDS = { query: 8, response: 1_024 } as const;
const DECODED_TYPES = new Set<number>([TYPE.A, TYPE.AAAA, TYPE.CNAME, TYPE.SRV, TYPE.SOA]);

export interface Edns {
  readonly udpPayloadSize: number;
  readonly version: number;
}

export interface Message {
  readonly id: number;
  readonly kind: "query" | "response";
  /** 0 is QUERY. */
  readonly opcode: number;
  readonly aa: boolean;
  readonly tc: boolean;
  readonly rd: boolean;
  readonly ra: boolean;
  readonly rcode: Rcode;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without OPT, which is `edns`. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | undefined;
  /** How many records, from the end, are not read because there are too many. */
  readonly leftOut: number;
  /** The question section as it came, for the answer to repeat octet by octet (letter case included). */
  readonly questionSection: Buffer;
}

/** @throws ProtocolError DNS_MESSAGE, and nothing else, whatever the bytes */
export function decodeMessage(bytes: Buffer): Message {
  const layout = layoutOf(bytes);
  const flags = bytes.readUInt16BE(2);
  const kind = flags & FLAG.response ? "response" : "query";
  const leftOut = Math.max(0, layout.records.length - MAX_RECORDS[kind]);
  const decoded = decodePacket(bytes, layout.records.slice(0, MAX_RECORDS[kind]));
  const sections = [decoded.answers ?? [], decoded.authorities ?? [], decoded.additionals ?? []] as const;
  const firstAuthority = sections[0].length;
  const firstAdditional = firstAuthority + sections[1].length;
  const read = (section: readonly packet.Answer[], first: number) =>
    section.map((record, index) => toRecord(record, layout.records[first + index] as RecordLayout));
  const opt = layout.records.slice(firstAdditional).find((record) => record.type === TYPE.OPT);
  return {
    id: bytes.readUInt16BE(0),
    kind,
    opcode: (flags >> 11) & 0xf,
    aa: (flags & FLAG.aa) !== 0,
    tc: (flags & FLAG.tc) !== 0,
    rd: (flags & FLAG.rd) !== 0,
    ra: (flags & FLAG.ra) !== 0,
    // RFC 6891 section 6.1.3: the upper eight bits of the response code stand in the OPT record's TTL.
    rcode: rcodeName((flags & 0xf) | ((opt ? opt.ttl >>> 24 : 0) << 4)),
    questions: layout.questions.map((question, index) => toQuestion(decoded.questions?.[index]?.name ?? "", question)),
    answers: read(sections[0], 0),
    authorities: read(sections[1], firstAuthority),
    additionals: read(sections[2], firstAdditional).filter(
      (record) => record.type !== "other" || record.typeCode !== TYPE.OPT,
    ),
    edns: opt && { udpPayloadSize: opt.class, version: (opt.ttl >>> 16) & 0xff },
    leftOut,
    questionSection: Buffer.from(bytes.subarray(HEADER_LENGTH, layout.questionEnd)),
  };
}

/** Where a header says how many answers, authorities and additionals there are. */
const COUNT_OFFSETS = [6, 8, 10];

/** Decodes these records only. Types that are not read become a private type, so that an odd DNSKEY or TXT does not spoil the message. */
function decodePacket(bytes: Buffer, records: readonly RecordLayout[]): packet.DecodedPacket {
  const copy = Buffer.from(bytes);
  let rest = records.length;
  for (const countOffset of COUNT_OFFSETS) {
    const count = Math.min(rest, copy.readUInt16BE(countOffset));
    copy.writeUInt16BE(count, countOffset);
    rest -= count;
  }
  for (const { type, typeOffset } of records) {
    if (!DECODED_TYPES.has(type)) copy.writeUInt16BE(PRIVATE_TYPE, typeOffset);
  }
  try {
    return packet.decode(copy);
  } catch (error) {
    throw malformed("it cannot be decoded", error);
  }
}

function toQuestion(name: string, { type, class: code }: QuestionLayout): Question {
  return { qname: canonicalName(name), qtype: typeName(type), qclass: code === CLASS_IN ? "IN" : `CLASS${code}` };
}

function toRecord(record: packet.Answer, layout: RecordLayout): ResourceRecord {
  const owner = canonicalName(record.name);
  // RFC 2181 section 8: a TTL with its highest bit set is zero.
  const ttl = layout.ttl > 0x7fffffff ? 0 : layout.ttl;
  if (layout.class !== CLASS_IN) return { type: "other", owner, ttl, typeCode: layout.type };
  switch (record.type) {
    case "A":
      // Of IPv4 there is one form only.
      return { type: "A", owner, ttl, address: record.data };
    case "AAAA":
      return { type: "AAAA", owner, ttl, address: formatIp(parseIp(record.data) ?? []) };
    case "CNAME":
      return { type: "CNAME", owner, ttl, target: canonicalName(record.data) };
    case "SRV": {
      const { priority = 0, weight = 0, port, target } = record.data;
      return { type: "SRV", owner, ttl, priority, weight, port, target: canonicalName(target) };
    }
    case "SOA": {
      const { serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0 } = record.data;
      const mname = canonicalName(record.data.mname);
      const rname = canonicalName(record.data.rname);
      return { type: "SOA", owner, ttl, mname, rname, serial, refresh, retry, expire, minimum };
    }
    default:
      return { type: "other", owner, ttl, typeCode: layout.type };
  }
}

function rcodeName(code: number): Rcode {
  return RCODES[code] ?? (code === BADVERS ? "BADVERS" : `RCODE${code}`);
}

export function rcodeNumber(rcode: Rcode): number {
  const index = (RCODES as readonly string[]).indexOf(rcode);
  if (index >= 0) return index;
  return rcode === "BADVERS" ? BADVERS : Number(rcode.slice(5));
}

export interface QueryFields {
  readonly id: number;
  readonly qname: string;
  readonly qtype: "A" | "AAAA" | "SRV";
  /** EDNS(0) with 1232 octets: without it Consul gives three records, and sets no TC. */
  readonly edns: boolean;
}

/** @throws ProtocolError DNS_MESSAGE for a name that DNS cannot carry */
export function encodeQuery({ id, qname, qtype, edns }: QueryFields): Buffer {
  const problem = nameProblem(qname);
  if (problem !== undefined) throw new ProtocolError("DNS_MESSAGE", `${qname} cannot be asked for in DNS: ${problem}`);
  return packet.encode({
    type: "query",
    id,
    flags: FLAG.rd,
    questions: [{ name: canonicalName(qname), type: qtype, class: "IN" }],
    additionals: edns ? [optRecord(0)] : [],
  });
}

export interface ResponseFields {
  readonly rcode: Rcode;
  readonly aa: boolean;
  /** Recursion is available; default false. */
  readonly ra?: boolean;
  readonly answers: readonly KnownRecord[];
  readonly authorities: readonly KnownRecord[];
  readonly additionals: readonly KnownRecord[];
}

/** The response to a query: its question repeated as it came, an OPT record when it had one (RFC 6891 section 6.1.1). */
export function encodeResponse(query: Message, fields: ResponseFields): Buffer {
  const rcode = rcodeNumber(fields.rcode);
  const additionals = fields.additionals.map(toAnswer);
  if (query.edns) additionals.push(optRecord(rcode >> 4));
  const records = packet.encode({
    type: "response",
    id: query.id,
    flags:
      (query.opcode << 11) |
      (fields.aa ? FLAG.aa : 0) |
      (query.rd ? FLAG.rd : 0) |
      (fields.ra ? FLAG.ra : 0) |
      (rcode & 0xf),
    answers: fields.answers.map(toAnswer),
    authorities: fields.authorities.map(toAnswer),
    additionals,
  });
  records.writeUInt16BE(query.questions.length, 4);
  // dns-packet writes no compression pointers, so that the records may be moved.
  return Buffer.concat([records.subarray(0, HEADER_LENGTH), query.questionSection, records.subarray(HEADER_LENGTH)]);
}

function optRecord(extendedRcode: number): packet.Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: UDP_PAYLOAD_SIZE,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

function toAnswer(record: KnownRecord): packet.Answer {
  const common = { name: record.owner, ttl: record.ttl, class: "IN" as const };
  switch (record.type) {
    case "A":
    case "AAAA":
      return { ...common, type: record.type, data: record.address };
    case "CNAME":
    case "PTR":
      return { ...common, type: record.type, data: record.target };
    case "SRV": {
      const { priority, weight, port, target } = record;
      return { ...common, type: "SRV", data: { priority, weight, port, target } };
    }
    case "SOA": {
      const { mname, rname, serial, refresh, retry, expire, minimum } = record;
      return { ...common, type: "SOA", data: { mname, rname, serial, refresh, retry, expire, minimum } };
    }
    default:
      return record satisfies never;
  }
}

/** Octets that every DNS client accepts over UDP. */
export const MIN_UDP_PAYLOAD = 512;

/** The length of a message over TCP stands in two octets (RFC 1035 section 4.2.2). */
export const MAX_TCP_SIZE = 65_535;

/** A message as TCP carries it: two octets of length before it. RFC 7766 section 8: both in one segment. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(message.length);
  return Buffer.concat([prefix, message]);
}

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
