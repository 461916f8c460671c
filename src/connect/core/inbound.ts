import type { IpPort } from "../../config/network-values.js";

/** A node that lives here, as callers name it. */
export interface ServedNode {
  /** Full name: what a caller gives as server name, with a dot in place of the `@`. */
  readonly node: string;
  /** Where its VM listens. */
  readonly place: IpPort;
  /**
   * It is not published, because its name is that of a short-lived helper now: callers have to name it. Some names are so
   * only while another node is alive; when that changes, the daemon tells the node again.
   */
  readonly isHelper?: boolean | undefined;
}

/** A caller that was let in. */
export interface InboundLink {
  readonly node: string;
  /** Of its certificate. */
  readonly caller: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** Why a caller was not let in. They are counted. */
export const REFUSALS = [
  /** It completes no TLS connection that is wanted: no certificate, one of another CA or expired, no TLS, too slow. */
  "TLS",
  /** It asks for a node that is not here, or for none where there are several. */
  "NO_NODE",
  /** Its certificate names no service of this trust domain. */
  "NO_SERVICE",
  /** An intention, or the default, does not let it in. */
  "DENIED",
  /** It was let in, and an intention that came later denies it: its link is cut. */
  "CUT",
  /** The agent does not say whether it may come in. */
  "AGENT",
  /** The VM does not take the connection. */
  "VM",
  /** There are no descriptors for its link. */
  "FULL",
] as const;

/** A caller that was not let in, or whose link was cut. */
export interface Refusal {
  readonly code: (typeof REFUSALS)[number];
  readonly reason: string;
  readonly node?: string | undefined;
  /** Our own URI, and that of the caller. */
  readonly service?: string | undefined;
  readonly caller?: string | undefined;
  readonly from: string;
}

/** `node_a@svc.service.consul` is `node_a.svc.service.consul` in a client's hello, as in DNS. */
export function serverNameOf(node: string): string {
  return node.replace("@", ".").toLowerCase();
}

/** The same node has one key in every datacenter: `node_a.svc` of `node_a.svc.service.dc2.consul`. */
export function serverKey(serverName: string): string {
  return serverName.toLowerCase().replace(/\.service\..*$/, "");
}
