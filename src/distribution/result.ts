import type { DistVersion } from "../core/distribution/handshake.js";

/** Who is at a place that a node was said to be at. Times are milliseconds. */
export type Probe = ProbeTimes &
  (
    | ({ readonly result: "node" | "other-node" } & NodeSeen)
    /** An Erlang node that will not say who it is to us: `nok`, `not_allowed`, `alive`. */
    | { readonly result: "erlang"; readonly status: string; readonly tls?: TlsSeen }
    /** Nothing listens. */
    | { readonly result: "refused" }
    /** No connection can be made: `EHOSTUNREACH`, `ENETUNREACH`, ... */
    | { readonly result: "unreachable"; readonly code: string }
    /** No answer, to the attempt to connect or to our name. */
    | { readonly result: "silent"; readonly stage: "connect" | "handshake"; readonly tls?: TlsSeen }
    /** It takes the connection and hangs up without a word. */
    | { readonly result: "closed"; readonly tls?: TlsSeen }
    /** TLS, and not for us. */
    | { readonly result: "tls"; readonly code: string; readonly tls?: TlsSeen }
    /** It says something that no node says. */
    | { readonly result: "not-erlang"; readonly said: string; readonly tls?: TlsSeen }
  );

export interface ProbeTimes {
  /** From the first connection attempt to the result. */
  readonly elapsedMs: number;
  /** To the connection; undefined when there was none. */
  readonly connectMs?: number;
}

export interface NodeSeen {
  /** Full name, as the node itself says it. */
  readonly name: string;
  readonly version: DistVersion;
  /** Undefined in version 5. */
  readonly creation?: number;
  readonly hidden: boolean;
  /** Those of `DIST_FLAG`. */
  readonly flags: readonly string[];
  /** `OTP 25 or newer` */
  readonly release: string;
  readonly status: string;
  readonly tls?: TlsSeen;
}

export interface TlsSeen {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Names in the certificate, which nobody has checked. */
  readonly names: readonly string[];
}
