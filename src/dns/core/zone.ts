import { Buffer } from "node:buffer";
import { isUnder } from "../../names/domains.js";
import { canonicalIp, familyOf, formatIp, parseIp } from "../../net/ip.js";
import { decodeMessage, encodeResponse, type Message, type ResponseFields } from "../wire/message.js";
import { type AddressRecord, canonicalName, type KnownRecord, type Question, type SoaRecord } from "../wire/record.js";

/** A node as the zone publishes it. */
export interface ZoneNode {
  /** Fully qualified: `node_a.demo.test`. Several nodes may share one. */
  readonly owner: string;
  /** 1..65535 */
  readonly port: number;
  readonly weight: number;
  /** IP literals; one SRV record is given for each. */
  readonly addresses: readonly string[];
}

export interface Zone {
  /** Under which names are answered; everything else is refused. */
  readonly domains: readonly string[];
  readonly nodes: readonly ZoneNode[];
}

/** Seconds. 0, because a node may start or end before the next query. */
const TTL = 0;
/** As Consul: all records of one priority. */
const PRIORITY = 1;
/** Hex names of addresses live under this label, as in Consul: `0a000001.addr.demo.test`. */
const ADDRESS_LABEL = "addr";

/**
 * The response of an authoritative server to the bytes of a query. The responder truncates it.
 * @throws ProtocolError DNS_MESSAGE
 */
export function answerFromZone(bytes: Buffer, zone: Zone): Buffer {
  const query = decodeMessage(bytes);
  return encodeResponse(query, answerTo(query, zone));
}

function answerTo(query: Message, zone: Zone): ResponseFields {
  const empty = { aa: false, answers: [], authorities: [], additionals: [] };
  if (query.opcode !== 0) return { rcode: "NOTIMP", ...empty };
  // RFC 6891 section 6.1.3: we know version 0 only.
  if (query.edns && query.edns.version !== 0) return { rcode: "BADVERS", ...empty };
  const [question, second] = query.questions;
  // RFC 9619: a query has one question.
  if (question === undefined || second !== undefined) return { rcode: "FORMERR", ...empty };
  return zoneAnswer(question, zone);
}

/** Answers one question from the nodes alive here. */
export function zoneAnswer(question: Question, zone: Zone): ResponseFields {
  const qname = canonicalName(question.qname);
  const domain = enclosingDomain(qname, zone.domains);
  if (domain === undefined || question.qclass !== "IN") return refused();
  const nodes = zone.nodes.filter((node) => canonicalName(node.owner) === qname);
  const named = addressOfName(qname, domain);
  const addresses = named === undefined ? nodes.flatMap((node) => node.addresses) : [named];
  switch (question.qtype) {
    case "SRV":
      return addresses.length > 0 && nodes.length > 0
        ? srvAnswer(qname, nodes, domain)
        : absent(qname, domain, zone, addresses);
    case "A":
    case "AAAA": {
      const answers = addressRecords(qname, addresses).filter((record) => record.type === question.qtype);
      return answers.length > 0 ? authoritative("NOERROR", answers) : absent(qname, domain, zone, addresses);
    }
    case "SOA":
      if (qname === domain) return authoritative("NOERROR", [soa(domain)]);
      return absent(qname, domain, zone, addresses);
    default:
      return absent(qname, domain, zone, addresses);
  }
}

function srvAnswer(owner: string, nodes: readonly ZoneNode[], domain: string): ResponseFields {
  const answers: KnownRecord[] = [];
  const additionals = new Map<string, AddressRecord>();
  for (const { port, weight, addresses } of nodes) {
    for (const address of addresses) {
      const target = nameOfAddress(address, domain);
      if (target === undefined) continue;
      answers.push({ type: "SRV", owner, ttl: TTL, priority: PRIORITY, weight, port, target });
      for (const record of addressRecords(target, [address])) additionals.set(target, record);
    }
  }
  return { ...authoritative("NOERROR", answers), additionals: Array.from(additionals.values()) };
}

function addressRecords(owner: string, addresses: readonly string[]): AddressRecord[] {
  const canonical = addresses.map(canonicalIp).filter((address) => address !== undefined);
  return Array.from(new Set(canonical), (address) => ({
    type: familyOf(address) === 4 ? "A" : "AAAA",
    owner,
    ttl: TTL,
    address,
  }));
}

/** RFC 2308: NODATA where the name exists with other types, or has names below it (RFC 8020); else NXDOMAIN. */
function absent(qname: string, domain: string, zone: Zone, addresses: readonly string[]): ResponseFields {
  const exists =
    addresses.length > 0 ||
    qname === domain ||
    qname === `${ADDRESS_LABEL}.${domain}` ||
    zone.nodes.some(({ owner }) => isUnder(canonicalName(owner), qname));
  return { ...authoritative(exists ? "NOERROR" : "NXDOMAIN", []), authorities: [soa(domain)] };
}

/** Minimum 0: a node that is absent now may be there a moment later. */
function soa(domain: string): SoaRecord {
  const timers = { serial: 1, refresh: 3600, retry: 600, expire: 86400, minimum: 0 };
  return { type: "SOA", owner: domain, ttl: TTL, mname: `ns.${domain}`, rname: `hostmaster.${domain}`, ...timers };
}

function authoritative(rcode: ResponseFields["rcode"], answers: readonly KnownRecord[]): ResponseFields {
  return { rcode, aa: true, answers, authorities: [], additionals: [] };
}

function refused(): ResponseFields {
  return { rcode: "REFUSED", aa: false, answers: [], authorities: [], additionals: [] };
}

function enclosingDomain(qname: string, domains: readonly string[]): string | undefined {
  return domains
    .map(canonicalName)
    .filter((domain) => isUnder(qname, domain))
    .sort((a, b) => b.length - a.length)
    .at(0);
}

/** `0a000001.addr.demo.test` for 10.0.0.1, 32 hex digits for IPv6. */
function nameOfAddress(address: string, domain: string): string | undefined {
  const canonical = canonicalIp(address);
  const bytes = canonical === undefined ? undefined : parseIp(canonical);
  return bytes && `${Buffer.from(bytes).toString("hex")}.${ADDRESS_LABEL}.${domain}`;
}

function addressOfName(qname: string, domain: string): string | undefined {
  const hex = /^([0-9a-f]{8}|[0-9a-f]{32})\.addr$/.exec(qname.slice(0, -domain.length - 1))?.[1];
  return hex === undefined ? undefined : formatIp(Buffer.from(hex, "hex"));
}
