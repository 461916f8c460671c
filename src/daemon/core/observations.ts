import type { SourceName } from "../../resolve/core/resolution.js";

/** A look-up through EPMD: who asked for which node, and the result. */
export interface LookUp {
  readonly type: "look-up";
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `name@host` as it was looked up; text that is no node name as it was sent. */
  readonly node: string;
  /** Address of the client. */
  readonly asker: string;
  /** The client is on this machine. */
  readonly here: boolean;
  readonly way: "module" | "host" | "gateway";
  /**
   * `unreachable`: the node was found, but the address that this client would dial does not lead to it.
   * `refused`: this client may not ask for it, or it is no node name.
   */
  readonly outcome: "found" | "not-found" | "unreachable" | "unavailable" | "refused";
  readonly source: SourceName | undefined;
  /** The last good answer of name servers that all fail (RFC 8767). */
  readonly stale: boolean;
  /** The port that was answered. */
  readonly port: number | undefined;
  /** Endpoints of the node, `ip:port`, in the order in which they would be tried. */
  readonly endpoints: readonly string[];
  /** Why there is no port. */
  readonly reason: string | undefined;
  /** The code of the resolution that gave none (src/resolve/core/resolution.ts); undefined: there was none, or it found the node. */
  readonly code?: string | undefined;
  readonly elapsedMs: number;
}

export type DaemonEvent =
  | LookUp
  | {
      readonly type: "request";
      /** `ALIVE2_REQ`, ...; `invalid` for bytes that are no request. */
      readonly request: string;
      readonly result: "ok" | "not-found" | "refused" | "closed";
    }
  | {
      /** A DNS query that was sent, and what came back. */
      readonly type: "query";
      readonly transport: "udp" | "tcp";
      /** `NOERROR`, `NXDOMAIN`, ..., `truncated`, `timeout`, `unreachable`, `error` */
      readonly rcode: string;
      readonly elapsedMs: number;
    }
  /** A question to the DNS cache: `shared` waits for a query that is under way. */
  | { readonly type: "cache"; readonly result: "hit" | "miss" | "shared" }
  | {
      readonly type: "node";
      readonly change: "registered" | "unregistered";
      readonly name: string;
      readonly port: number;
    }
  | {
      readonly type: "consul-call";
      /** `ok`, or what kind of failure: `forbidden`, `unknown`, `rejected`, `unavailable`. */
      readonly result: string;
    };

export type Observe = (event: DaemonEvent) => void;

/** The daemon's events, for the metrics, the status page and the event stream. */
export class Observations {
  readonly #listeners = new Set<Observe>();

  readonly emit: Observe = (event) => {
    for (const listener of this.#listeners) listener(event);
  };

  /** @returns a function that ends the subscription */
  subscribe(listener: Observe): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
