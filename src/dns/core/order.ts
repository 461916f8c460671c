import type { Family } from "../../net/endpoint.js";
import {
  type Cidr,
  canonicalIp,
  cidrContainsBytes,
  commonPrefixLength,
  isLinkLocal,
  isLoopback,
  parseCidr,
  parseIp,
} from "../../net/ip.js";

interface Weighted {
  /** Lower first. */
  readonly priority: number;
  readonly weight: number;
}

/**
 * SRV records in the order in which they are tried: by priority, within one priority weighted random (RFC 2782).
 * @param random gives a number in [0, 1)
 */
export function orderSrv<T extends Weighted>(records: readonly T[], random: () => number): readonly T[] {
  // Most nodes have one record.
  if (records.length < 2) return records;
  const priorities = Array.from(new Set(records.map((record) => record.priority))).sort((a, b) => a - b);
  return priorities.flatMap((priority) => {
    const remaining = records.filter((record) => record.priority === priority);
    // RFC 2782: records of weight 0 are placed at the beginning, where the number 0 picks them.
    remaining.sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
    const ordered: T[] = [];
    while (remaining.length > 0) ordered.push(...remaining.splice(pickByWeight(remaining, random), 1));
    return ordered;
  });
}

/** Index of the record whose running sum of weights is the first to reach a random number. */
function pickByWeight(records: readonly Weighted[], random: () => number): number {
  const sum = records.reduce((total, record) => total + record.weight, 0);
  // RFC 2782: without weights any order will do. Each record is equally likely.
  if (sum === 0) return Math.floor(random() * records.length);
  // RFC 2782 draws from 0 to the sum. The number 0 belongs to the records of weight 0. Without such records it would give
  // the first record more than its share (2/3 of two equal ones), and the draw starts at 1.
  const lowest = records[0]?.weight === 0 ? 0 : 1;
  const drawn = lowest + Math.floor(random() * (sum + 1 - lowest));
  let running = 0;
  return records.findIndex((record) => {
    running += record.weight;
    return running >= drawn;
  });
}

export interface AddressPreference {
  readonly family: Family | "any";
  /** Addresses that this machine has, loopbacks included: candidate sources (RFC 6724). */
  readonly sources: readonly string[];
}

const network = (text: string) => parseCidr(text) as Cidr;

/**
 * RFC 6724 section 2.1, without the networks that are gone: 6to4 (RFC 7526), Teredo, 6bone (RFC 3701) and site-local
 * addresses (RFC 3879). An IPv4 address is looked up as IPv4-mapped: precedence 35, label 4.
 */
const POLICY_TABLE = [
  { prefix: network("::1/128"), precedence: 50, label: 0 },
  { prefix: network("fc00::/7"), precedence: 3, label: 13 },
  { prefix: network("::/96"), precedence: 1, label: 3 },
] as const;
const IPV4_POLICY = { precedence: 35, label: 4 } as const;
const DEFAULT_POLICY = { precedence: 40, label: 1 } as const;

/** RFC 6724 section 3.1; an IPv4 loopback or 169.254/16 address is link-local (section 3.2). */
const SCOPE = { linkLocal: 2, global: 14 } as const;
const LINK_LOCAL = ["fe80::/10", "::1/128", "127.0.0.0/8", "169.254.0.0/16"].map(network);
/** No connection can be made to these. */
const NO_DESTINATION = ["0.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::/128", "ff00::/8"].map(network);

interface Destination {
  readonly address: string;
  readonly usable: boolean;
  readonly loopback: boolean;
  readonly scope: number;
  readonly scopeMatches: boolean;
  readonly labelMatches: boolean;
  readonly precedence: number;
  /** Leading bits shared with the source, IPv6 only. */
  readonly sharedBits: number;
}

/**
 * The addresses of one target in the order in which they are tried (RFC 6724 section 6, as far as its rules make sense
 * without a routing table). IPv4-mapped addresses become IPv4 addresses; duplicates and addresses that cannot be dialled
 * are dropped; addresses without a source of their family, or that need a zone, come last.
 */
export function preferAddresses(candidates: readonly string[], preference: AddressPreference): string[] {
  const canonical = candidates.map(canonicalIp).filter((address) => address !== undefined);
  const dialled = Array.from(new Set(canonical), parsed)
    .filter(({ bytes }) => preference.family === "any" || familyOfBytes(bytes) === preference.family)
    .filter(({ bytes }) => !NO_DESTINATION.some((range) => cidrContainsBytes(range, bytes)));
  // Most nodes have one address, which needs no order. The rules look at each address of this machine.
  if (dialled.length < 2) return dialled.map(({ address }) => address);
  const sources = preference.sources
    .map((source) => canonicalIp(source))
    .filter((source) => source !== undefined)
    .map(parsed);
  const destinations = dialled.map((destination) => describe(destination, sources));
  // Rule 10: the sort is stable, so equals keep the order of the answer.
  return destinations.sort(compareDestinations).map((destination) => destination.address);
}

/** A canonical address and its octets: each is parsed once. */
interface Parsed {
  readonly address: string;
  readonly bytes: readonly number[];
}

function parsed(address: string): Parsed {
  return { address, bytes: parseIp(address) ?? [] };
}

function familyOfBytes(bytes: readonly number[]): Family {
  return bytes.length === 4 ? 4 : 6;
}

function compareDestinations(a: Destination, b: Destination): number {
  return (
    // Rule 1: avoid unusable destinations.
    Number(b.usable) - Number(a.usable) ||
    Number(b.loopback) - Number(a.loopback) ||
    // Rule 2: prefer matching scope.
    Number(b.scopeMatches) - Number(a.scopeMatches) ||
    // Rule 5: prefer matching label.
    Number(b.labelMatches) - Number(a.labelMatches) ||
    // Rule 6: prefer higher precedence.
    b.precedence - a.precedence ||
    // Rule 8: prefer smaller scope.
    a.scope - b.scope ||
    // Rule 9: use the longest matching prefix.
    b.sharedBits - a.sharedBits
  );
}

function describe({ address, bytes }: Parsed, sources: readonly Parsed[]): Destination {
  const loopback = isLoopback(address);
  const { precedence, label } = policyOf(bytes);
  const scope = scopeOf(bytes);
  const source = sourceFor({ address, bytes }, sources);
  // RFC 4007: a link-local address needs an interface, which an answer from DNS cannot name.
  const needsZone = isLinkLocal(address);
  return {
    address,
    usable: source !== undefined && !needsZone,
    loopback,
    scope,
    scopeMatches: source !== undefined && scopeOf(source.bytes) === scope,
    labelMatches: source !== undefined && policyOf(source.bytes).label === label,
    precedence,
    sharedBits: source === undefined || bytes.length === 4 ? 0 : commonPrefixLength(bytes, source.bytes),
  };
}

/** RFC 6724 section 5, shortened: the address itself, then the same scope, then the longest shared prefix. */
function sourceFor(destination: Parsed, sources: readonly Parsed[]): Parsed | undefined {
  const { address, bytes } = destination;
  // All of 127.0.0.0/8 is this machine's, also addresses that no interface lists.
  if (isLoopback(address)) return destination;
  const scope = scopeOf(bytes);
  const rank = (source: Parsed) =>
    (source.address === address ? 1000 : 0) +
    (scopeOf(source.bytes) === scope ? 500 : 0) +
    commonPrefixLength(bytes, source.bytes);
  return sources
    .filter((source) => source.bytes.length === bytes.length && !isLoopback(source.address))
    .sort((a, b) => rank(b) - rank(a))
    .at(0);
}

function policyOf(bytes: readonly number[]): { readonly precedence: number; readonly label: number } {
  if (familyOfBytes(bytes) === 4) return IPV4_POLICY;
  return POLICY_TABLE.find(({ prefix }) => cidrContainsBytes(prefix, bytes)) ?? DEFAULT_POLICY;
}

function scopeOf(bytes: readonly number[]): number {
  return LINK_LOCAL.some((range) => cidrContainsBytes(range, bytes)) ? SCOPE.linkLocal : SCOPE.global;
}
