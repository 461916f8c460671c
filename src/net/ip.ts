import type { Family } from "./endpoint.js";

/** IP literals. Bytes are 4 or 16 octets in network order. */

export interface Cidr {
  readonly bytes: readonly number[];
  /** 0..32 or 0..128 */
  readonly prefix: number;
}

const HEXTET = /^[0-9a-f]{1,4}$/i;

const [ZERO, NINE, DOT] = [0x30, 0x39, 0x2e];

/** In one pass: each EPMD connection and each address of a DNS answer comes through here. */
function parseIpv4(text: string): number[] | undefined {
  if (text.length > 15) return undefined;
  const bytes: number[] = [];
  let digits = 0;
  let value = 0;
  for (let index = 0; index <= text.length; index++) {
    const char = index === text.length ? DOT : text.charCodeAt(index);
    if (char === DOT) {
      if (digits === 0 || bytes.push(value) > 4) return undefined;
      digits = 0;
      value = 0;
      continue;
    }
    // No leading zeros: some readers take such an octet for octal (RFC 6943, 3.1.1).
    if (char < ZERO || char > NINE || (digits > 0 && value === 0)) return undefined;
    value = value * 10 + char - ZERO;
    if (value > 255) return undefined;
    digits++;
  }
  return bytes.length === 4 ? bytes : undefined;
}

function parseHextets(text: string): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (index === groups.length - 1 && group.includes(".")) {
      const tail = parseIpv4(group);
      if (!tail) return undefined;
      bytes.push(...tail);
    } else if (HEXTET.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseHextets(halves[0] ?? "");
  const tail = halves.length === 2 ? parseHextets(halves[1] ?? "") : [];
  if (!head || !tail) return undefined;
  // RFC 4291 section 2.2: the dotted form stands for the four low-order octets only.
  if (halves.length === 2 && halves[0]?.includes(".")) return undefined;
  const missing = 16 - head.length - tail.length;
  // RFC 4291 section 2.2: "::" stands for one or more groups, and without it all eight are written.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Octets of an IPv4 or IPv6 literal, or undefined. A zone id (`%eth0`) is not part of a literal. */
export function parseIp(text: string): number[] | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) shortened. */
function formatIpv6(bytes: ArrayLike<number>): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (best.start < 0) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

/** Text of 4 or 16 octets. */
export function formatIp(bytes: ArrayLike<number>): string {
  return bytes.length === 4 ? Array.from(bytes).join(".") : formatIpv6(bytes);
}

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** An IPv4-mapped address (RFC 4291 section 2.5.5.2) is the IPv4 address it carries. */
function unmap(bytes: number[]): number[] {
  return bytes.length === 16 && MAPPED_PREFIX.every((byte, index) => bytes[index] === byte) ? bytes.slice(12) : bytes;
}

/** Canonical text of an address: zone dropped, IPv4-mapped unmapped, RFC 5952. Undefined for other text. */
export function canonicalIp(text: string): string | undefined {
  const zone = text.indexOf("%");
  const address = zone < 0 ? text : text.slice(0, zone);
  // Of IPv4 there is one form only.
  if (!address.includes(":")) return parseIpv4(address) && address;
  const bytes = parseIpv6(address);
  return bytes && formatIp(unmap(bytes));
}

/** Family of a canonical literal, undefined when the text is no IP literal. */
export function familyOf(text: string): Family | undefined {
  const bytes = parseIp(text);
  return bytes && (bytes.length === 4 ? 4 : 6);
}

/**
 * Family of what is known to be an IP literal, with or without a zone. The regular expression of Node's isIPv6 takes V8
 * (Node 20) 3 ms to compile.
 */
export function familyOfLiteral(literal: string): Family {
  return literal.includes(":") ? 6 : 4;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(canonical: string): boolean {
  return canonical === "::1" || (canonical.startsWith("127.") && parseIpv4(canonical) !== undefined);
}

/** 0.0.0.0 or `::`: every address of the machine. */
export function isWildcard(canonical: string): boolean {
  return canonical === "0.0.0.0" || canonical === "::";
}

/** `10.0.0.0/8`, `fd00::/8`, or a single address. An IPv4-mapped network becomes the IPv4 network. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!bytes) return undefined;
  const suffix = slash < 0 ? String(bytes.length * 8) : text.slice(slash + 1);
  const prefix = /^[0-9]{1,3}$/.test(suffix) ? Number(suffix) : -1;
  if (prefix < 0 || prefix > bytes.length * 8) return undefined;
  const unmapped = unmap(bytes);
  const dropped = (bytes.length - unmapped.length) * 8;
  return prefix < dropped ? { bytes, prefix } : { bytes: unmapped, prefix: prefix - dropped };
}

/** Number of leading bits that two addresses of one family share (RFC 6724 CommonPrefixLen). */
export function commonPrefixLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let bits = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (difference !== 0) return bits + Math.clz32(difference) - 24;
    bits += 8;
  }
  return bits;
}

export function cidrContains(cidr: Cidr, canonical: string): boolean {
  const bytes = parseIp(canonical);
  return bytes !== undefined && cidrContainsBytes(cidr, bytes);
}

export function cidrContainsBytes(cidr: Cidr, bytes: readonly number[]): boolean {
  return bytes.length === cidr.bytes.length && commonPrefixLength(cidr.bytes, bytes) >= cidr.prefix;
}

/** RFC 4291 section 2.5.6, fe80::/10: such an address needs a zone. */
export function isLinkLocal(canonical: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(canonical) && parseIpv6(canonical) !== undefined;
}

/** `10.0.0.1:4369`, `[::1]:4369` */
export function hostPort(at: { readonly address: string; readonly port: number }): string;
export function hostPort(address: string, port: number): string;
export function hostPort(at: string | { readonly address: string; readonly port: number }, itsPort?: number): string {
  const { address, port } = typeof at === "string" ? { address: at, port: itsPort } : at;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/**
 * Whether a name server is the one that listens here: a query to it would be a query to ourselves.
 * @param isOwnAddress whether a canonical address is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: Place, server: Place, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` accepts IPv4 too; 0.0.0.0 does not accept IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // A connection to a wildcard address goes to the loopback address.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}
