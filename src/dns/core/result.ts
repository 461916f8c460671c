import type { ResourceRecord } from "../wire/record.js";

export interface Records {
  readonly kind: "records";
  /** Of the type asked for; never empty. */
  readonly records: readonly ResourceRecord[];
  /** Additional section of the same answer. */
  readonly additionals: readonly ResourceRecord[];
  /** Seconds for which the answer still holds; 0 when stale. */
  readonly ttl: number;
  /** The last good answer, because no name server gives a new one (RFC 8767). */
  readonly stale: boolean;
  /** Owner of the records: the end of the CNAME chain. */
  readonly canonicalName: string;
  /** `127.0.0.1:8600` */
  readonly server: string;
}

export interface Absence {
  readonly kind: "nodata" | "nxdomain";
  /** Seconds. */
  readonly ttl: number;
  /** Undefined for a name that DNS cannot carry: no server was asked. */
  readonly server: string | undefined;
}

/** Why no name server answered; stable. */
export type DnsFailureCode = "DNS_TIMEOUT" | "DNS_REFUSED" | "DNS_SERVFAIL" | "DNS_BAD_ANSWER" | "DNS_UNREACHABLE";

export interface DnsFailure {
  readonly kind: "unavailable";
  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  readonly cause: string;
  readonly code: DnsFailureCode;
}

/** What a query for the records of a name and type gave. */
export type DnsResult = Records | Absence | DnsFailure;
