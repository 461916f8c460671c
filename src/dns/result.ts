import type { ResourceRecord } from "../core/dns/record.js";

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
  /** Undefined for a name that DNS cannot carry: nobody was asked. */
  readonly server: string | undefined;
}

/** What the name servers did instead of answering; stable. */
export type UnavailableCode = "DNS_TIMEOUT" | "DNS_REFUSED" | "DNS_SERVFAIL" | "DNS_BAD_ANSWER" | "DNS_UNREACHABLE";

export interface DnsUnavailable {
  readonly kind: "unavailable";
  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  readonly cause: string;
  readonly code: UnavailableCode;
}

export type DnsResult = Records | Absence | DnsUnavailable;
