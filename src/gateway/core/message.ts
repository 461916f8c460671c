import { Buffer } from "node:buffer";
import { isDomainName, isLabel } from "../../config/network-values.js";
import { decodeMessage, encodeResponse, FLAG, type Message, rcodeNumber } from "../../dns/wire/message.js";
import {
  type AddressRecord,
  CLASS_IN,
  HEADER_LENGTH,
  type KnownRecord,
  labelsAt,
  layoutOf,
  questionLayoutOf,
  TYPE,
} from "../../dns/wire/record.js";
import { ProtocolError } from "../../errors.js";
import { canonicalIp, formatIp } from "../../net/ip.js";

/** A query, as far as the gateway has to know it. */
export type GatewayQuestion =
  /** The address of a host of the gateway. */
  | { readonly kind: "host"; readonly host: string; readonly qtype: "A" | "AAAA" }
  /** An address under a domain of the gateway, of a name that no host can have. */
  | { readonly kind: "no-host" }
  | OtherQuestion;

/** Any other query: most of these are forwarded. */
export interface OtherQuestion {
  readonly kind: "other";
  /** Lower case, unusual octets as `\DDD` (RFC 1035 section 5.1); empty for the root and without a question. */
  readonly qname: string;
  /** A zone transfer. */
  readonly transfer: boolean;
  /** A standard query with one question of class IN. */
  readonly isInternet: boolean;
  /** It asks about an IPv4 address by its reverse name. */
  readonly reverse: ReverseQuestion | undefined;
}

interface ReverseQuestion {
  /** Canonical IPv4 literal, also for an IPv4-mapped IPv6 address. */
  readonly address: string;
  /** It asks for the host, not for records of another type. */
  readonly isPtr: boolean;
}

const OPCODE_QUERY = 0;
const ADDRESS_TYPES: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" };
const TYPE_PTR = 12;
/** IXFR (RFC 1995) and AXFR (RFC 5936). */
const TRANSFER_TYPES = [251, 252];
/** RFC 3596 section 2.5: an address under ip6.arpa has 32 labels, each a hexadecimal digit. */
const NIBBLES = 32;

/**
 * What a query asks for. A name becomes a host only when a host can have each of its labels: a dot or a NUL inside a
 * label is never read as something else.
 * @param isGatewayHost gets names that a host can have, in lower case
 * @throws ProtocolError DNS_MESSAGE
 */
export function readGatewayQuestion(query: Buffer, isGatewayHost: (host: string) => boolean): GatewayQuestion {
  const { questions } = questionLayoutOf(query);
  const opcode = (query.readUInt8(2) >> 3) & 0xf;
  // Other opcodes have records of other forms (RFC 2136: updates).
  if (opcode === OPCODE_QUERY) layoutOf(query);
  const [question, second] = questions;
  if (question === undefined) {
    return { kind: "other", qname: "", transfer: false, isInternet: false, reverse: undefined };
  }
  const labels = labelsAt(query, question.nameOffset);
  const texts = labels.map((label) => label.toString("latin1").toLowerCase());
  const { type } = question;
  const qtype = ADDRESS_TYPES[type];
  const isInternet = opcode === OPCODE_QUERY && second === undefined && question.class === CLASS_IN;
  if (isInternet && qtype !== undefined) {
    const host = texts.join(".");
    const canBeHost = texts.every(isLabel) && isDomainName(host);
    if (canBeHost && isGatewayHost(host)) return { kind: "host", host, qtype };
    // With the impossible labels replaced, the name shows whether it is under a domain of the gateway.
    const fit = texts.map((text) => (isLabel(text) ? text : "x")).join(".");
    if (!canBeHost && isDomainName(fit) && isGatewayHost(fit)) return { kind: "no-host" };
  }
  const address = isInternet ? reverseAddress(texts) : undefined;
  return {
    kind: "other",
    qname: labels.map(presentLabel).join("."),
    transfer: TRANSFER_TYPES.includes(type),
    isInternet,
    reverse: address === undefined ? undefined : { address, isPtr: type === TYPE_PTR },
  };
}

function presentLabel(label: Buffer): string {
  return label
    .toString("latin1")
    .replace(/[^A-Za-z0-9_-]/g, (octet) => `\\${String(octet.charCodeAt(0)).padStart(3, "0")}`)
    .toLowerCase();
}

/** The IPv4 address under in-addr.arpa, or under ip6.arpa when it is IPv4-mapped: the gateway answers in both forms. */
function reverseAddress(labels: readonly string[]): string | undefined {
  const [zone, ...own] = [labels.slice(-2).join("."), ...labels.slice(0, -2).reverse()];
  const isDecimal = own.length === 4 && own.every((octet) => /^[0-9]{1,3}$/.test(octet));
  if (zone === "in-addr.arpa") return isDecimal ? canonicalIp(own.join(".")) : undefined;
  const isNibbles = own.length === NIBBLES && own.every((digit) => /^[0-9a-f]$/.test(digit));
  if (zone !== "ip6.arpa" || !isNibbles) return undefined;
  const bytes = Array.from({ length: NIBBLES / 2 }, (_, i) => Number.parseInt(`${own[2 * i]}${own[2 * i + 1]}`, 16));
  const address = canonicalIp(formatIp(bytes));
  return address?.includes(":") ? undefined : address;
}

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
  if (rcodeOf(response) !== rcodeNumber("NXDOMAIN") || !isOneOfInternet) return response;
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

/** SERVFAIL and REFUSED: another server may do better. */
const TRY_ANOTHER = [2, 5];

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
  const isEmpty = (flags & (OPCODE | RCODE)) === 0 && response.readUInt16BE(6) === 0;
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
  return message.readUInt16BE(2) & RCODE;
}
