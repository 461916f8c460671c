/** A certificate of Connect with its key, as the agent gives them. PEM. */
export interface Leaf {
  readonly certificate: string;
  readonly key: string;
  /** `spiffe://…` */
  readonly uri: string;
  /** ISO 8601, as the next. */
  readonly validAfter: string;
  readonly validBefore: string;
}

/** What a token's policy needs for the certificate of a service. */
export function leafPolicy(service: string): string {
  return `service "${service}" { policy = "write" }`;
}

/** The certificates of the CA. While it is rotated there are several, and all are trusted. */
export interface Roots {
  /** PEM. */
  readonly certificates: readonly string[];
}

/** What an agent told, and where to go on from. */
export interface Told<T> {
  readonly value: T;
  /** X-Consul-Index; 0: the answer had none. */
  readonly index: number;
}

/** Whether a caller may come in. */
export interface Authorization {
  readonly isAllowed: boolean;
  /** Consul's words: which intention, or the default of the ACLs. */
  readonly reason: string;
}
