import { canonicalName } from "../../dns/wire/record.js";
import { ConsulError, type ConsulErrorCode, EpmdError, type EpmdErrorCode, type NomadErrorCode } from "../../errors.js";
import { partsOf } from "../../names/domains.js";
import type { NodeName } from "../../names/node-name.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { fillTemplate } from "../../text.js";

/** The sources, in the order in which they are asked. */
export type SourceName = "registry" | "static" | "upstream" | "catalogue" | "srv" | "fallback";

/** The fields of ALIVE2_REQ and PORT2_RESP beside port and name. */
export interface NodeDescription {
  readonly nodeType: number;
  readonly protocol: number;
  readonly highestVersion: number;
  readonly lowestVersion: number;
  readonly extra: Buffer;
}

/** What was left out at a bound of a look-up. */
export interface LeftOut {
  readonly what: "SRV records" | "instances" | "endpoints" | "EPMDs" | "probes";
  readonly count: number;
  readonly of: number;
}

export interface Found {
  readonly outcome: "found";
  readonly source: SourceName;
  /** In the order in which they are tried; never empty. */
  readonly endpoints: readonly Endpoint[];
  /** Seconds for which the answer may be kept. */
  readonly ttl: number;
  /** The last good answer, because every name server failed (RFC 8767), or no source that answers has the node. */
  readonly stale: boolean;
  /** As the node registered it, here or with another EPMD; undefined: the response has synthetic values. */
  readonly description?: NodeDescription;
  /** Never empty. */
  readonly leftOut?: readonly LeftOut[];
}

/** Why a node is not found. Stable: in `resolve --json` and the HTTP API, and explained in src/help/resolve.md. */
export const NOT_FOUND_CODES = [
  "NAME_FAMILY",
  "NAME_NO_DOMAIN",
  "NAME_NO_SOURCE",
  "NAME_NOT_DNS",
  "NAME_NOT_NOMAD",
  "NODE_NOT_REGISTERED",
  "NODE_OTHER_HOST",
  "NODE_NO_ADDRESS",
  "STATIC_NO_ENTRY",
  "UPSTREAM_NONE",
  "UPSTREAM_NO_SIDECAR",
  "UPSTREAM_NO_ADDRESS",
  "CATALOGUE_UNKNOWN",
  "CATALOGUE_NO_SERVICE",
  "CATALOGUE_NO_NODE",
  "CATALOGUE_NO_ADDRESS",
  "CATALOGUE_NOT_NATIVE",
  "SRV_NXDOMAIN",
  "SRV_NODATA",
  "SRV_NOT_OFFERED",
  "SRV_NO_PORT",
  "SRV_OTHER_TARGET",
  "SRV_OTHER_ADDRESS",
  "SRV_NO_ADDRESS",
  "SRV_LINK_LOCAL",
  "FALLBACK_NO_ADDRESS",
  "EPMD_NO_NODE",
] as const;

/** An EPMD_ code of an EpmdError: a command looks for nodes of this machine in its EPMD, and that did not answer. */
export type NotFoundCode = (typeof NOT_FOUND_CODES)[number] | EpmdErrorCode;

/** Why it is not known whether there is such a node. Stable, as those above. */
export const UNAVAILABLE_CODES = [
  "LOOKUP_TIMEOUT",
  "DNS_TIMEOUT",
  "DNS_REFUSED",
  "DNS_SERVFAIL",
  "DNS_BAD_ANSWER",
  "DNS_UNREACHABLE",
  "CONNECT_NO_RELAY",
] as const;

/** EPMD_ codes of an EpmdError, CONSUL_ codes of a ConsulError and NOMAD_ codes of a NomadError too. */
export type UnavailableCode = (typeof UNAVAILABLE_CODES)[number] | EpmdErrorCode | ConsulErrorCode | NomadErrorCode;

export interface NotFound {
  readonly outcome: "not-found";
  readonly code: NotFoundCode;
  /** For people. */
  readonly reason: string;
}

export interface Unavailable {
  readonly outcome: "unavailable";
  readonly code: UnavailableCode;
  /** For people. */
  readonly cause: string;
}

export function notFound(code: NotFoundCode, reason: string): NotFound {
  return { outcome: "not-found", code, reason };
}

export function unavailable(code: UnavailableCode, cause: string): Unavailable {
  return { outcome: "unavailable", code, cause };
}

/** @param error of a request to an EPMD */
export function epmdErrorCode(error: unknown): EpmdErrorCode {
  return error instanceof EpmdError ? error.code : "EPMD_UNREACHABLE";
}

/** @param error of a request to the Consul agent */
export function consulErrorCode(error: unknown): ConsulErrorCode {
  return error instanceof ConsulError ? error.code : "CONSUL_UNAVAILABLE";
}

/** The result of a look-up. */
export type Resolution = Found | NotFound | Unavailable;

/** `2 endpoints (stale)`, or why there is none. */
export function resolutionWords(result: Resolution): string {
  switch (result.outcome) {
    case "found":
      return `${result.endpoints.length} endpoint${result.endpoints.length === 1 ? "" : "s"}${result.stale ? " (stale)" : ""}`;
    case "not-found":
      return result.reason;
    case "unavailable":
      return result.cause;
    default:
      return result satisfies never;
  }
}

/** What is asked of a source. */
export interface NodeQuestion {
  /** The node with its host expanded to a fully qualified name or an IP literal, without trailing dot. */
  readonly node: NodeName & { readonly host: string };
  readonly family: Family | "any";
  /** The host is a relative name that a user wrote: the search list of resolv.conf applies. Default: it is absolute. */
  readonly search?: boolean;
  /** The host part as it was written, when it has no dot: it was taken for a service, but may be a short host name. */
  readonly shortHost?: string;
  /** Only endpoints with this address count: the host part of the node name was an address. */
  readonly onlyAddress?: string;
}

/** A resolution, or the result of an EPMD that was asked instead (`--via`). */
export type ShownResolution =
  | (Omit<Found, "source" | "description"> & { readonly source: SourceName | "epmd" })
  | NotFound
  | Unavailable;

interface Added {
  /** Further keys of the object. */
  readonly added?: object;
  /** Further keys of an endpoint. */
  readonly ofEndpoint?: (index: number) => object | undefined;
}

/** A resolution as `resolve --json` and the HTTP API give it; the shape is part of the contract. */
export function resolutionObject(
  node: string,
  answer: ShownResolution,
  elapsedMs: number,
  { added, ofEndpoint }: Added = {},
): object {
  const elapsed = Math.round(elapsedMs * 10) / 10;
  if (answer.outcome !== "found") return { node, ...answer, ...added, elapsedMs: elapsed };
  const { outcome, source, stale, ttl, leftOut } = answer;
  const endpoints = answer.endpoints.map((endpoint, index) => ({ ...endpoint, ...ofEndpoint?.(index) }));
  return { node, outcome, source, stale, ttl, endpoints, ...(leftOut && { leftOut }), ...added, elapsedMs: elapsed };
}

/** A step of a look-up, for the debug log and `resolve --trace`. */
export type TraceEvent =
  | { readonly step: "name"; readonly asked: string; readonly aliveName: string; readonly host: string }
  | { readonly step: "source"; readonly source: string; readonly result: string }
  | {
      readonly step: "query";
      readonly server: string;
      readonly transport: "udp" | "tcp" | "cache";
      readonly qname: string;
      readonly qtype: string;
      /** Milliseconds. */
      readonly elapsedMs: number;
      /** `NOERROR`, `NXDOMAIN`, ...; or a failure: `timeout`, `truncated`, `ECONNREFUSED`. */
      readonly result: string;
      /** Why this query follows another one. */
      readonly because?: string;
      /** Flags that are set in the answer: aa, tc, ra. */
      readonly flags: readonly string[];
      /** Records of the answer section, presentation form: `node.example. 0 SRV 1 1 9100 target.example.` */
      readonly records: readonly string[];
      /** The same of the additional section. */
      readonly additionals: readonly string[];
    }
  /** A truncated answer is used, because no server gives the whole answer over TCP. */
  | {
      readonly step: "partial";
      readonly server: string;
      readonly qname: string;
      readonly qtype: string;
      /** Those of the type asked for. */
      readonly records: number;
    }
  | {
      readonly step: "catalogue";
      /** `Consul` */
      readonly title: string;
      readonly service: string;
      readonly datacenter?: string | undefined;
      readonly namespace?: string | undefined;
      readonly tag: string | undefined;
      /** `current`, `broken`, `behind` or `unknown`: see ServiceView. */
      readonly state: string;
      /** Milliseconds since its last answer, and the instances of the service in it; undefined when unknown. */
      readonly ageMs: number | undefined;
      readonly instances: number | undefined;
      /** Those with the tag that are not critical. */
      readonly held: readonly { readonly address: string; readonly port: number; readonly weight: number }[];
    }
  | { readonly step: "hosts-file"; readonly name: string; readonly addresses: readonly string[] }
  /** A bound of a look-up was reached. */
  | ({ readonly step: "left-out" } & LeftOut)
  /** The answers for these targets are late; the result is without them. */
  | { readonly step: "not-awaited"; readonly targets: readonly string[] }
  | { readonly step: "probe"; readonly endpoint: Endpoint; readonly result: string; readonly elapsedMs: number }
  | {
      readonly step: "order";
      readonly source: SourceName;
      /** As the source gave them: for srv in the order of RFC 2782 and RFC 6724. */
      readonly endpoints: readonly Endpoint[];
    }
  /** The one that accepts connections was put first. */
  | { readonly step: "preferred"; readonly endpoint: Endpoint };

export type Trace = (event: TraceEvent) => void;

/** What one look-up leaves out at its bounds, for the trace and the result. */
export class Bounds {
  readonly #trace: Trace | undefined;
  readonly #leftOut: LeftOut[] = [];

  constructor(trace: Trace | undefined) {
    this.#trace = trace;
  }

  /** The first ones, as many as the bound allows. */
  take<T>(what: LeftOut["what"], all: readonly T[], bound: number): readonly T[] {
    if (all.length <= bound) return all;
    const leftOut = { what, count: all.length - bound, of: all.length };
    this.#leftOut.push(leftOut);
    this.#trace?.({ step: "left-out", ...leftOut });
    return all.slice(0, bound);
  }

  /** For the result. */
  get told(): { readonly leftOut?: readonly LeftOut[] } {
    return this.#leftOut.length > 0 ? { leftOut: this.#leftOut } : {};
  }
}

/**
 * The name whose SRV records have the endpoints of a node.
 * @param template `--srv-name`, such as `{name}.{host}`; `{service}` is the first label of the host
 */
export function srvOwner(template: string, node: NodeName & { readonly host: string }): string {
  return canonicalName(fillTemplate(template, partsOf(node)));
}
