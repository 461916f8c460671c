import { Buffer } from "node:buffer";
import { partsOf } from "../../names/domains.js";
import type { NodeName } from "../../names/node-name.js";
import { fillTemplate } from "../../text.js";

/** RFC 1035 nouns. Names are lower case, without trailing dot; the root is the empty string. TTLs are seconds. */

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

const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  12: "PTR",
  15: "MX",
  16: "TXT",
  28: "AAAA",
  33: "SRV",
  41: "OPT",
  65: "HTTPS",
  255: "ANY",
};

export function typeName(code: number): string {
  return TYPE_NAMES[code] ?? `TYPE${code}`;
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

/**
 * The name whose SRV records have the endpoints of a node.
 * @param template `--srv-name`, such as `{name}.{host}`; `{service}` is the first label of the host
 */
export function srvOwner(template: string, node: NodeName & { readonly host: string }): string {
  return canonicalName(fillTemplate(template, partsOf(node)));
}
