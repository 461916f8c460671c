import { servedDomains } from "../names/domains.js";
import { hostPort } from "../net/ip.js";
import { reach } from "../publish/core/advertised.js";
import { domainDoubts } from "../publish/core/domain-doubts.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { NO_NODE } from "./local-nodes.js";
import { NOTHING_PUBLISHED } from "./published-nodes.js";

export const domain: Check = {
  id: "domain",
  title: "nodes are published under each --domain, and every version of Consul finds them there",
  run: async ({ config }) => {
    const doubts = domainDoubts(config);
    if (doubts.length === 0) {
      return publishesToConsul(config)
        ? ok(`nodes are published under ${listed(servedDomains(config))}`)
        : skip(NOTHING_PUBLISHED);
    }
    return together(
      doubts.map(({ kind, evidence, advice }) =>
        kind === "unpublished" ? fail(evidence, advice) : warn(evidence, advice),
      ),
      "",
    );
  },
};

export const portMapping: Check = {
  id: "port-mapping",
  title: "Nomad's port mapping, --advertise-port and --advertise-address, against the ports of the nodes here",
  run: async ({ config, nodes }) => {
    const { nomad, advertisePort, advertiseAddress } = config;
    const advice =
      nomad.ports.length === 0
        ? "say where peers reach it with --advertise-address, of the family in which its VM listens, and --advertise-port"
        : 'let the VM listen on the task side of a mapped port (ERL_AFLAGS="-kernel inet_dist_listen_min $NOMAD_PORT_<label> inet_dist_listen_max $NOMAD_PORT_<label>"), or say where peers reach it with --port-label, --advertise-port and --advertise-address';
    if (nomad.ports.length === 0 && advertisePort === undefined && advertiseAddress.length === 0) {
      return skip("no port is mapped: there is no NOMAD_PORT_<label>, --advertise-port or --advertise-address");
    }
    const findings = (await nodes()).map((node): Finding => {
      const reached = reach(node, config);
      if (reached.outcome === "reachable") {
        const { port, addresses } = reached.advertised;
        const places = addresses.map((address) => hostPort(address, port)).join(" and ");
        return ok(`${node.aliveName}: port ${node.port} here is ${places || `port ${port}`} to its peers`);
      }
      return fail(`peers cannot reach ${node.aliveName}: ${reached.reason}`, advice);
    });
    return together(findings, NO_NODE);
  },
};
