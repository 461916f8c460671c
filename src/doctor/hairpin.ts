import { probeWords } from "../distribution/core/words.js";
import { hostPort } from "../net/ip.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import type { PublishedNode } from "./published-nodes.js";
import { whyNothingPublished } from "./way.js";

export const hairpin: Check = {
  id: "hairpin",
  title: "in a bridge network: the task reaches the published endpoints of its own nodes through the host",
  run: async (examination) => {
    if (!examination.isBridged) return skip("this is not a bridge network of Nomad");
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const published = await examination.published();
    const found = published.filter(({ resolution }) => resolution.outcome === "found");
    const findings = await Promise.all(found.map((node) => throughHost(node, examination)));
    return together(findings.flat(), "none of the nodes here has an SRV record");
  },
};

async function throughHost(node: PublishedNode, examination: Examination): Promise<Finding[]> {
  return (await examination.dial(node)).map(({ endpoint, probe }) => {
    const place = hostPort(endpoint);
    switch (probe.result) {
      case "node":
      case "tls":
      case "erlang":
        return ok(`${node.full} is reached through the host at ${place}`);
      case "other-node":
      case "not-erlang":
        return fail(
          "HAIRPIN_OTHER",
          `${node.full} is published at ${place}: ${probeWords(probe, node.full, endpoint)}`,
          "the port is mapped to another program: compare the group's ports with the port that the VM listens on (--all: vm-listens, port-mapping)",
        );
      default:
        return skip([
          `${place} cannot be dialled from inside (${probe.result}), which is normal: Nomad's bridge has no hairpin. It does no harm, because nodes here get the local port`,
          `run srv-epmd doctor ${node.full} on another machine to test the mapping`,
        ]);
    }
  });
}
