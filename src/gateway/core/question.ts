import type { Buffer } from "node:buffer";
import { isDomainName, isLabel } from "../../config/network-values.js";
import { labelsAt, layoutOf, questionLayoutOf } from "../../dns/wire/record.js";
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

export interface ReverseQuestion {
  /** Canonical IPv4 literal, also for an IPv4-mapped IPv6 address. */
  readonly address: string;
  /** It asks for the host, not for records of another type. */
  readonly isPtr: boolean;
}

const OPCODE_QUERY = 0;
const CLASS_IN = 1;
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
  const type = query.readUInt16BE(question.typeOffset);
  const qtype = ADDRESS_TYPES[type];
  const isInternet =
    opcode === OPCODE_QUERY && second === undefined && query.readUInt16BE(question.typeOffset + 2) === CLASS_IN;
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
