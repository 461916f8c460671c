import { areLinkedByThemselves, isLinkedByItself } from "../../distribution/core/self-linking.js";
import { listed } from "../../text.js";
import type { ReadyCheck } from "./status.js";

/** The condition that `/readyz?cluster=` adds. */
export interface ClusterCheck extends Pick<ReadyCheck, "ok" | "reason"> {
  readonly name: "cluster";
}

/** A node of the cluster. */
export interface ClusterPeer {
  /** Full name. */
  readonly node: string;
  readonly hidden: boolean;
}

/** A node alive here, and with whom it is linked. */
export type LocalLinks = { readonly hidden: boolean } & (
  | {
      /** Full name, as the VM has it. */
      readonly node: string;
      /** Full names. */
      readonly linked: ReadonlySet<string>;
    }
  | {
      readonly node: string;
      /** Why it is not known. */
      readonly unknown: string;
    }
);

/** Nodes that are named: a cluster may have hundreds. */
const MOST_NAMED = 5;

/**
 * Whether each node here is linked with all others of a cluster with which it is linked by itself: nothing would link it
 * with hidden nodes. What is not known counts as not linked.
 * @param peers nodes of the cluster that are up, those here too
 */
export function clusterCheck(
  pattern: string,
  peers: readonly ClusterPeer[],
  here: readonly LocalLinks[],
): ClusterCheck {
  const reasons =
    here.length === 0
      ? [`no node that is registered here matches ${pattern}`]
      : here.filter(isLinkedByItself).flatMap(reason);
  return reasons.length === 0 ? { name: "cluster", ok: true } : notReady(listed(reasons, MOST_NAMED, "; "));

  function reason(one: LocalLinks): string | [] {
    if ("unknown" in one) return `it is not known with whom ${one.node} is linked: ${one.unknown}`;
    const missing = peers
      .filter((peer) => peer.node !== one.node && areLinkedByThemselves(one, peer) && !one.linked.has(peer.node))
      .map(({ node }) => node);
    return missing.length === 0 ? [] : `${one.node} is not linked with ${listed(missing, MOST_NAMED)}`;
  }
}

export function notReady(reason: string): ClusterCheck {
  return { name: "cluster", ok: false, reason };
}
