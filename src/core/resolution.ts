import type { Endpoint, Family } from "./endpoint.js";
import type { NodeName } from "./node-name.js";

/** Where an answer came from, in the order in which the sources are asked. */
export type SourceName = "registry" | "static" | "upstream" | "srv" | "fallback";

/** What EPMD says of a node beside its port (ALIVE2_REQ / PORT2_RESP fields). */
export interface NodeDescription {
  readonly nodeType: number;
  readonly protocol: number;
  readonly highestVersion: number;
  readonly lowestVersion: number;
  readonly extra: Buffer;
}

/** What was cut off at a bound of a look-up. */
export interface LeftOut {
  readonly what: "SRV records" | "endpoints" | "EPMDs" | "probes";
  readonly count: number;
  readonly of: number;
}

export interface Found {
  readonly outcome: "found";
  readonly source: SourceName;
  /** In the order in which they would be tried; never empty. */
  readonly endpoints: readonly Endpoint[];
  /** Seconds for which the answer may be kept. */
  readonly ttl: number;
  /** True when every name server failed and this is the last good answer (RFC 8767). */
  readonly stale: boolean;
  /** What the node itself or another EPMD said of it; synthetic values are answered without. */
  readonly description?: NodeDescription;
  /** Never empty. */
  readonly leftOut?: readonly LeftOut[];
}

export interface NotFound {
  readonly outcome: "not-found";
  readonly reason: string;
}

export interface Unavailable {
  readonly outcome: "unavailable";
  readonly cause: string;
}

/** Expected outcomes are values: no such node is not a fault. */
export type Resolution = Found | NotFound | Unavailable;

/** What is asked of a source. */
export interface Question {
  /** The node with its host expanded to a fully qualified name or an IP literal, without trailing dot. */
  readonly node: NodeName & { readonly host: string };
  readonly family: Family | "any";
  /** The host is a relative name that a user wrote: the search list of resolv.conf applies. Default: it is complete. */
  readonly search?: boolean;
  /** The host part as it was written when it is a word without a dot, which is taken for a service: a short host name may be meant. */
  readonly shortHost?: string;
  /** Only endpoints with this address count: the host part of the node name was an address. */
  readonly onlyAddress?: string;
}
