import type { ServiceInstance } from "./instances.js";

/** A service of a catalogue. Its name counts whatever its case. */
export interface CatalogueQuery {
  readonly service: string;
  /** Of Consul; undefined: the agent's own. */
  readonly datacenter?: string | undefined;
  /** Of Nomad; undefined: the default one. */
  readonly namespace?: string | undefined;
}

/** All instances of a service at one moment. */
export interface CatalogueSnapshot {
  /** Empty, too, for what the token may not read. */
  readonly instances: readonly ServiceInstance[];
  /** Position of the catalogue (X-Consul-Index, X-Nomad-Index); 0 when the answer has none. */
  readonly index: number;
  /**
   * False: the server that answered knows no leader (X-Consul-KnownLeader, X-Nomad-KnownLeader). After its start it then has none of
   * what its raft log holds, so the list may lack instances.
   */
  readonly hasLeader: boolean;
}

/** A program that has a catalogue of services, and answers blocking queries for it. */
export interface CatalogueBackend {
  /** In metrics, the trace and the API. */
  readonly name: "consul" | "nomad";
  /** In sentences. */
  readonly title: string;
  /**
   * The instances of a service, by a blocking query. Rejects when there is no usable answer, and when the signal says so.
   * It must reject by itself when the answer is overdue.
   * @param index of the last answer; 0: answered at once
   * @param wait milliseconds for which the query may be held; a sixteenth may be added
   */
  readonly follow: (
    query: CatalogueQuery,
    index: number,
    wait: number,
    signal: AbortSignal,
  ) => Promise<CatalogueSnapshot>;
  /**
   * Resolves when it answers a question that costs it nothing: then a list that is late will come. Rejects when it does not answer.
   * Absent: it is not asked.
   */
  readonly answers?: (signal: AbortSignal) => Promise<unknown>;
  /** What it means when it lists no instance of a service, and DNS has nodes there; undefined: DNS is not asked. */
  readonly emptyMeans?: string;
  /** What is done while it does not answer, for the log: of a service that was known, and of another. */
  readonly meanwhile: { readonly known: string; readonly unknown: string };
}

/**
 * `current`: the back end would have told of a change. `broken`: it does not answer, for no longer than the time that it may
 * hold a query. `behind`: for longer.
 */
export type FollowState = "current" | "broken" | "behind";

/** Of a followed service; `unknown`: the back end has not answered yet. */
export const FOLLOW_STATES = ["current", "broken", "behind", "unknown"] as const satisfies readonly (
  | FollowState
  | "unknown"
)[];

/** A followed service, for metrics and the API. */
export interface FollowedStatus extends CatalogueQuery {
  /** Whose catalogue it is. */
  readonly catalogue: CatalogueBackend["name"];
  readonly state: (typeof FOLLOW_STATES)[number];
  /** A pattern is matched with its instances again and again, as VMs with SRV_EPMD_CONNECT have it done each second. */
  readonly forPatterns?: true;
  /** Undefined while unknown. */
  readonly instances: number | undefined;
  /** Whole seconds for which it has been broken or behind; absent while current or unknown. */
  readonly brokenSeconds?: number;
}
