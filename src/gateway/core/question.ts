import type { Buffer } from "node:buffer";
import { isDomainName, isLabel } from "../../config/network-values.js";
import { labelsAt, layoutOf, questionLayoutOf } from "../../dns/wire/layout.js";

/** A query, as far as the gateway has to know it. */
export type GatewayQuestion =
  /** An address of a host of the gateway. */
  | { readonly kind: "host"; readonly host: string; readonly qtype: "A" | "AAAA" }
  /** An address under a domain of the gateway, of a name that no host can have. */
  | { readonly kind: "no-host" }
  | OtherQuestion;

/** Whatever is not the gateway's. */
export interface OtherQuestion {
  readonly kind: "other";
  /** Lower case, odd octets as `\DDD` (RFC 1035 section 5.1); empty for the root and where there is no question. */
  readonly qname: string;
  /** A zone transfer. */
  readonly transfer: boolean;
}

const OPCODE_QUERY = 0;
const CLASS_IN = 1;
const ADDRESS_TYPES: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" };
/** IXFR (RFC 1995) and AXFR (RFC 5936). */
const TRANSFER_TYPES = [251, 252];

/**
 * What a query asks for. Names are read octet by octet: one becomes a host only when a host can have each of its
 * labels, so that a dot or a NUL inside a label is never taken for something else.
 * @param isGatewayHost asked of names that a host can have, in lower case
 * @throws ProtocolError DNS_MESSAGE
 */
export function readGatewayQuestion(query: Buffer, isGatewayHost: (host: string) => boolean): GatewayQuestion {
  const { questions } = questionLayoutOf(query);
  const opcode = (query.readUInt8(2) >> 3) & 0xf;
  // In other messages the records are not all of the form that queries have (RFC 2136: updates).
  if (opcode === OPCODE_QUERY) layoutOf(query);
  const [question, second] = questions;
  if (question === undefined) return { kind: "other", qname: "", transfer: false };
  const labels = labelsAt(query, question.nameOffset);
  const type = query.readUInt16BE(question.typeOffset);
  const qtype = ADDRESS_TYPES[type];
  const isAddressQuery =
    opcode === OPCODE_QUERY && second === undefined && query.readUInt16BE(question.typeOffset + 2) === CLASS_IN;
  if (isAddressQuery && qtype !== undefined) {
    const texts = labels.map((label) => label.toString("latin1").toLowerCase());
    const host = texts.join(".");
    const canBeHost = texts.every(isLabel) && isDomainName(host);
    if (canBeHost && isGatewayHost(host)) return { kind: "host", host, qtype };
    // As it would be with the odd labels replaced: under a domain of the gateway or not.
    const fit = texts.map((text) => (isLabel(text) ? text : "x")).join(".");
    if (!canBeHost && isDomainName(fit) && isGatewayHost(fit)) return { kind: "no-host" };
  }
  return { kind: "other", qname: labels.map(presentLabel).join("."), transfer: TRANSFER_TYPES.includes(type) };
}

function presentLabel(label: Buffer): string {
  return label
    .toString("latin1")
    .replace(/[^A-Za-z0-9_-]/g, (octet) => `\\${String(octet.charCodeAt(0)).padStart(3, "0")}`)
    .toLowerCase();
}
