import type { Buffer } from "node:buffer";
import { labelsAt, questionLayoutOf } from "../../dns/wire/layout.js";
import { canonicalIp, formatIp } from "../../net/ip.js";

/** A question about an address by its reverse name. */
export interface ReverseQuestion {
  /** Canonical IPv4 literal; of an IPv4-mapped IPv6 address the IPv4 one. */
  readonly address: string;
  /** The host is asked for, not records of another type. */
  readonly isPtr: boolean;
}

const OPCODE_QUERY = 0;
const CLASS_IN = 1;
const TYPE_PTR = 12;
const NIBBLES = 32;

/** One question in class IN. @throws ProtocolError without a sound question section */
export function isInternetQuery(query: Buffer): boolean {
  const [question, second] = questionLayoutOf(query).questions;
  const opcode = (query.readUInt8(2) >> 3) & 0xf;
  if (question === undefined || second !== undefined || opcode !== OPCODE_QUERY) return false;
  return query.readUInt16BE(question.typeOffset + 2) === CLASS_IN;
}

/**
 * What a query asks about an IPv4 address under in-addr.arpa, or under ip6.arpa of one that is IPv4-mapped: we give
 * addresses in both forms. Undefined: it asks for something else.
 * @throws ProtocolError without a sound question section
 */
export function readReverseQuestion(query: Buffer): ReverseQuestion | undefined {
  const [question] = questionLayoutOf(query).questions;
  if (question === undefined || !isInternetQuery(query)) return undefined;
  const labels = labelsAt(query, question.nameOffset).map((label) => label.toString("latin1").toLowerCase());
  const address = addressOf(labels);
  if (address === undefined) return undefined;
  return { address, isPtr: query.readUInt16BE(question.typeOffset) === TYPE_PTR };
}

function addressOf(labels: readonly string[]): string | undefined {
  const [zone, ...own] = [labels.slice(-2).join("."), ...labels.slice(0, -2).reverse()];
  const isDecimal = own.length === 4 && own.every((octet) => /^[0-9]{1,3}$/.test(octet));
  if (zone === "in-addr.arpa") return isDecimal ? canonicalIp(own.join(".")) : undefined;
  // RFC 3596 section 2.5: 32 hexadecimal digits.
  if (zone !== "ip6.arpa" || own.length !== NIBBLES || !own.every((digit) => /^[0-9a-f]$/.test(digit)))
    return undefined;
  const bytes = Array.from({ length: NIBBLES / 2 }, (_, i) => Number.parseInt(`${own[2 * i]}${own[2 * i + 1]}`, 16));
  const address = canonicalIp(formatIp(bytes));
  return address?.includes(":") ? undefined : address;
}
