import type { IpPort } from "../../config/network-values.js";
import type { Probe } from "../../distribution/core/words.js";
import { hostPort } from "../../net/ip.js";
import type { Explained } from "./peer-silence.js";

/** A node here, where it is published at an address of this machine. */
export interface PublishedHere {
  readonly full: string;
  readonly endpoint: IpPort;
  readonly probe: Probe;
  /** The address is one of this machine, and the port that of the VM: nothing maps either of them. */
  readonly isUnmapped: boolean;
  /** The VM listens at that address. */
  readonly isListening: boolean;
}

const SEEN: Partial<Record<Probe["result"], string>> = {
  silent: "does not answer a connection attempt",
  unreachable: "cannot be reached",
  refused: "refuses connections",
};

/** Who does not get from this machine to a VM that listens here is kept from it by this machine itself. Undefined: it is not so. */
export function firewallHere({ full, endpoint, probe, isUnmapped, isListening }: PublishedHere): Explained | undefined {
  // A VM that is stopped takes connections.
  const seen = probe.connectMs === undefined ? SEEN[probe.result] : undefined;
  if (seen === undefined || !isUnmapped || !isListening) return undefined;
  return {
    evidence: [
      `${full} is published at ${hostPort(endpoint)}, an address of this machine and the port on which its VM listens, and that ${seen} from here`,
    ],
    advice: [
      `a firewall on this machine drops or rejects TCP port ${endpoint.port}: look for its rule with nft list ruleset here (or iptables -S)`,
    ],
  };
}
