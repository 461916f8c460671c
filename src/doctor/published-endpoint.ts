import { probeWords } from "../distribution/core/words.js";
import { hostPort, isLoopback, isWildcard } from "../net/ip.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { firewallHere } from "./core/own-firewall.js";
import type { Check, Examination } from "./examination.js";
import { reachability } from "./local-epmd.js";
import { isOwn, NO_PUBLISHED_NODE, type PublishedNode } from "./published-nodes.js";
import { whyNothingPublished } from "./way.js";

export const publishedEndpoint: Check = {
  id: "published-endpoint",
  title: "a connection to the published endpoints reaches the nodes here",
  run: async (examination) => {
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const published = await examination.published();
    const found = published.filter(({ resolution }) => resolution.outcome === "found");
    if (found.length === 0)
      return skip(published.length === 0 ? NO_PUBLISHED_NODE : "none of the nodes here has an SRV record");
    if (examination.isBridged) return skip("this cannot be seen from inside a bridge network: see hairpin");
    const findings = await Promise.all(found.map((node) => dialled(node, examination)));
    return together(findings.flat(), NO_PUBLISHED_NODE);
  },
};

async function dialled(node: PublishedNode, examination: Examination): Promise<Finding[]> {
  const [nodes, listeners] = await Promise.all([examination.nodes(), examination.listeners()]);
  const own = nodes.find(({ aliveName }) => aliveName === node.aliveName);
  const { addresses } = reachability(listeners ?? [], own?.port ?? 0);
  return (await examination.dial(node)).map(({ endpoint, probe }) => {
    const place = hostPort(endpoint);
    const { full } = node;
    if (!isOwn(node, endpoint)) return ok(`${full} is also at ${place}, on another machine`);
    const firewall = firewallHere({
      ...{ full, endpoint, probe },
      isUnmapped: own?.port === endpoint.port && examination.machine.addresses().includes(endpoint.address),
      isListening: addresses.some((address) => isWildcard(address) || address === endpoint.address),
    });
    if (firewall) {
      return fail("PUBLISHED_NOT_REACHED", firewall.evidence, firewall.advice, node.aliveName);
    }
    if (probe.result !== "node" && probe.result !== "tls" && probe.result !== "erlang") {
      const evidence = `${full} is published at ${place}: ${probeWords(probe, full, endpoint)}`;
      const advice = [
        "the address or the port is mapped wrongly: --advertise-address and --advertise-port, or the Nomad port whose task side is the VM's port (--port-label)",
        "or the VM does not listen there: vm-listens shows where it does (--all)",
      ];
      return fail("PUBLISHED_NOT_REACHED", evidence, advice, node.aliveName);
    }
    if (isLoopback(endpoint.address) && !examination.config.dnsListen) {
      const evidence = `${full} is published at ${place}, a loopback address: peers on other machines dial themselves`;
      const advice = [
        "give --advertise-address, or the Consul agent an address of the machine (bind_addr, advertise_addr)",
        "if all nodes are on this machine, nothing needs to be done",
      ];
      return warn("PUBLISHED_LOOPBACK", evidence, advice, node.aliveName);
    }
    return ok(`${full} is reached at ${place}`);
  });
}
