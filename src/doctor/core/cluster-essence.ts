import type { Probe } from "../../distribution/core/words.js";
import type { Member } from "./cluster-links.js";
import type { ClusterProblem } from "./cluster-problems.js";
import type { ClusterListing, ClusterVerdict } from "./cluster-verdict.js";

interface Examined extends ClusterListing {
  readonly members: readonly Member[];
  readonly verdict: Pick<ClusterVerdict, "links" | "problems" | "notes" | "pairs">;
}

/**
 * What has to differ between two looks for the cluster to have changed: codes, names and places. The sentences about the same
 * state may differ: they have times, ages and numbers of tries.
 */
export function essenceOf({ members, verdict, fault, unread }: Examined): string {
  const { links, problems, notes, pairs } = verdict;
  const known = new Set(members.map(({ node }) => node));
  return JSON.stringify([
    [fault?.code, unread?.code, unread?.services],
    links,
    problems.map(({ effects = [], ...problem }) => [ofProblem(problem), effects.map(ofProblem)]),
    notes.map(ofProblem),
    members.map((member) => ofMember(member, known)),
    pairs.map(({ link }) => link),
  ]);
}

const ofProblem = ({ code, nodes }: Pick<ClusterProblem, "code" | "nodes">) => [code, nodes];

function ofMember({ vms = [], ...member }: Member, known: ReadonlySet<string>): unknown {
  const { node, health, obstacle, withdrawn, unlistedIn, unavailable, missingCode, isUnread, places, state } = member;
  return [
    [node, health, obstacle?.kind, obstacle?.entry, withdrawn, unlistedIn, unavailable, missingCode, isUnread],
    [...places, ...vms].map(({ endpoint: { address, port }, probe, epmdPort }) => [
      ...[address, port, epmdPort?.answers],
      ofProbe(probe),
    ]),
    state && [state.release, state.connectAll, state.autoConnect, state.preventsPartitions],
    state?.connecting.filter((other) => known.has(other)),
  ];
}

/** Without how long it took. */
function ofProbe(probe: Probe): unknown {
  switch (probe.result) {
    case "node":
    case "other-node": {
      const { joined } = probe;
      return [
        probe.result,
        probe.name,
        probe.hidden,
        probe.flags,
        probe.tls,
        joined?.cookie,
        joined && "why" in joined && joined.why,
      ];
    }
    case "erlang":
      return [probe.result, probe.status];
    case "unreachable":
      return [probe.result, probe.code];
    case "silent":
      return [probe.result, probe.stage];
    case "tls":
      return [probe.result, probe.code];
    default:
      return [probe.result];
  }
}
