import { Buffer } from "node:buffer";
import { ProtocolError } from "../../errors.js";

/** Questions and records as RFC 1035 has them, and where they stand in a message. Names are lower case, without trailing dot; the root is the empty string. TTLs are seconds. */

/** Types of our queries. */
export type QueryType = "A" | "AAAA" | "SRV";

export interface Question {
  readonly qname: string;
  /** `A`, `SRV`, ...; `TYPE65` (RFC 3597) where we have no name for it. */
  readonly qtype: string;
  /** `IN`, or `CLASS3`. */
  readonly qclass: string;
}

interface Owned {
  readonly owner: string;
  readonly ttl: number;
}

export interface AddressRecord extends Owned {
  readonly type: "A" | "AAAA";
  /** Canonical IP literal of the type's family; an IPv4-mapped one stays IPv6 (`::ffff:...`). */
  readonly address: string;
}

export interface CnameRecord extends Owned {
  readonly type: "CNAME";
  readonly target: string;
}

export interface PtrRecord extends Owned {
  readonly type: "PTR";
  readonly target: string;
}

export interface SrvRecord extends Owned {
  readonly type: "SRV";
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** The empty string is `.`: not offered (RFC 2782). */
  readonly target: string;
}

export interface SoaRecord extends Owned {
  readonly type: "SOA";
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** A record whose rdata is not read (TXT, RRSIG, ...), or of another class than IN. */
export interface OtherRecord extends Owned {
  readonly type: "other";
  readonly typeCode: number;
}

export type KnownRecord = AddressRecord | CnameRecord | PtrRecord | SrvRecord | SoaRecord;
export type ResourceRecord = KnownRecord | OtherRecord;

/** Types by name. */
export const TYPE = {
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, HTTPS: 65, ANY: 255 },
} as const;
const TYPE_NAMES = new Map<number, string>(Object.entries(TYPE).map(([name, code]) => [code, name]));

export function typeName(code: number): string {
  return TYPE_NAMES.get(code) ?? `TYPE${code}`;
}

/** Lower case, without trailing dot: DNS compares names without regard to case (RFC 4343). */
export function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** Why a name cannot be asked for, or undefined. RFC 1035 section 2.3.4: labels 1..63 octets, 255 octets in all. */
export function nameProblem(name: string): string | undefined {
  let octets = 1;
  for (const label of canonicalName(name).split(".")) {
    const length = Buffer.byteLength(label);
    if (length === 0) return "it has an empty label";
    if (length > 63) return `its label ${label.slice(0, 12)}... has ${length} octets; DNS allows 63`;
    octets += length + 1;
  }
  return octets > 255 ? `it has ${octets} octets; DNS allows 255` : undefined;
}

/** Where a record stands in a message. Offsets and lengths are octets. */
export interface RecordLayout {
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Of the two octets of the type. */
  readonly typeOffset: number;
}

/** Where a question stands in a message, and its type and class. */
export interface QuestionLayout {
  readonly type: number;
  readonly class: number;
  /** Of its name's first octet. */
  readonly nameOffset: number;
  /** Of the two octets of its type. */
  readonly typeOffset: number;
}

export interface MessageLayout {
  readonly questions: readonly QuestionLayout[];
  /** Offset behind the question section. */
  readonly questionEnd: number;
  /** Answers, authorities and additionals, in that order. */
  readonly records: readonly RecordLayout[];
}

export const HEADER_LENGTH = 12;
/** RFC 1035 section 2.3.4. */
const MAX_NAME_LENGTH = 255;
/** A name of 255 octets has at most 127 labels: more pointers only cost time. */
const MAX_POINTERS = 127;
/** Root name, type, class. */
const MIN_QUESTION_LENGTH = 5;
/** Root name, type, class, TTL, RDLENGTH. */
const MIN_RECORD_LENGTH = 11;

export const CLASS_IN = 1;

/** The QR bit. A response is never answered: two servers would send each other responses for ever. */
export function isResponse(bytes: Buffer): boolean {
  return ((bytes[2] ?? 0) & 0x80) !== 0;
}

/**
 * Reads where the parts of a message are, and checks every length, so that the decoder reads inside of them.
 * @throws ProtocolError DNS_MESSAGE
 */
export function layoutOf(bytes: Buffer): MessageLayout {
  const { questions, questionEnd } = questionLayoutOf(bytes);
  const count = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  // Counts that do not fit are refused before memory is allocated for them.
  if (questionEnd + count * MIN_RECORD_LENGTH > bytes.length) {
    throw malformed(`${questions.length} questions and ${count} records do not fit into ${bytes.length} octets`);
  }
  let offset = questionEnd;
  const records: RecordLayout[] = [];
  for (let i = 0; i < count; i++) {
    const typeOffset = nameEnd(bytes, offset);
    const rdata = checkedEnd(bytes, typeOffset + 10);
    const record = {
      type: bytes.readUInt16BE(typeOffset),
      class: bytes.readUInt16BE(typeOffset + 2),
      ttl: bytes.readUInt32BE(typeOffset + 4),
      typeOffset,
    };
    offset = checkedEnd(bytes, rdata + bytes.readUInt16BE(typeOffset + 8));
    checkRdata(bytes, record.type, rdata, offset);
    records.push(record);
  }
  return { questions, questionEnd, records };
}

/**
 * Reads the question section only; what follows it is not checked.
 * @throws ProtocolError DNS_MESSAGE
 */
export function questionLayoutOf(bytes: Buffer): { questions: QuestionLayout[]; questionEnd: number } {
  if (bytes.length < HEADER_LENGTH) throw malformed(`${bytes.length} octets are no header`);
  const count = bytes.readUInt16BE(4);
  if (HEADER_LENGTH + count * MIN_QUESTION_LENGTH > bytes.length) {
    throw malformed(`${count} questions do not fit into ${bytes.length} octets`);
  }
  const questions: QuestionLayout[] = [];
  let offset = HEADER_LENGTH;
  for (let i = 0; i < count; i++) {
    const typeOffset = nameEnd(bytes, offset);
    const end = checkedEnd(bytes, typeOffset + 4);
    questions.push({
      type: bytes.readUInt16BE(typeOffset),
      class: bytes.readUInt16BE(typeOffset + 2),
      nameOffset: offset,
      typeOffset,
    });
    offset = end;
  }
  return { questions, questionEnd: offset };
}

/** Labels of a name that `questionLayoutOf` has checked. */
export function labelsAt(bytes: Buffer, nameOffset: number): Buffer[] {
  const labels: Buffer[] = [];
  let offset = nameOffset;
  for (;;) {
    const octet = octetAt(bytes, offset);
    if (octet === 0) return labels;
    if (octet >= 0xc0) offset = pointerTarget(bytes, offset);
    else {
      labels.push(bytes.subarray(offset + 1, offset + 1 + octet));
      offset += octet + 1;
    }
  }
}

function checkRdata(bytes: Buffer, type: number, start: number, end: number): void {
  const expected = rdataEnd(bytes, type, start);
  if (expected !== undefined && expected !== end) {
    throw malformed(`rdata of type ${type} has ${end - start} octets instead of ${expected - start}`);
  }
}

function rdataEnd(bytes: Buffer, type: number, start: number): number | undefined {
  switch (type) {
    case TYPE.A:
      return start + 4;
    case TYPE.AAAA:
      return start + 16;
    case TYPE.CNAME:
      return nameEnd(bytes, start);
    case TYPE.SRV:
      // RFC 2782 forbids compression of the target, but some servers compress it.
      return nameEnd(bytes, start + 6);
    case TYPE.SOA:
      return nameEnd(bytes, nameEnd(bytes, start)) + 20;
    default:
      return undefined;
  }
}

/** Offset behind the name that starts here; its pointers are followed and checked. */
function nameEnd(bytes: Buffer, start: number): number {
  let offset = start;
  let lowest = start;
  let end: number | undefined;
  let length = 1;
  let pointers = 0;
  for (;;) {
    const octet = octetAt(bytes, offset);
    if (octet === 0) return end ?? offset + 1;
    if (octet < 0x40) {
      length += octet + 1;
      if (length > MAX_NAME_LENGTH) throw malformed("a name has more than 255 octets");
      offset += octet + 1;
    } else if (octet >= 0xc0) {
      const target = pointerTarget(bytes, offset);
      end ??= offset + 2;
      pointers += 1;
      // RFC 1035 section 4.1.4: a pointer leads to a prior occurrence. Anything else may be a loop, and the header has no names.
      if (target < HEADER_LENGTH || target >= lowest || pointers > MAX_POINTERS)
        throw malformed("a compression pointer leads nowhere");
      lowest = target;
      offset = target;
    } else throw malformed(`label type ${octet >> 6} does not exist`);
  }
}

function pointerTarget(bytes: Buffer, offset: number): number {
  return ((octetAt(bytes, offset) & 0x3f) << 8) | octetAt(bytes, offset + 1);
}

function octetAt(bytes: Buffer, offset: number): number {
  const octet = bytes[offset];
  if (octet === undefined) throw malformed("it ends within a name");
  return octet;
}

function checkedEnd(bytes: Buffer, offset: number): number {
  if (offset > bytes.length) throw malformed("it ends within a record");
  return offset;
}

export function malformed(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError(
    "DNS_MESSAGE",
    `malformed DNS message: ${what}`,
    cause === undefined ? undefined : { cause },
  );
}
