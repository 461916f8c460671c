import { type Probe, probeWords } from "../distribution/core/words.js";
import { isHelperName, isLongName, neverConnect } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { listed } from "../text.js";
import { accepts, NOT_NAMED, softened, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ofVms, ok, skip, together, warn } from "./core/finding.js";
import { hungUp } from "./core/hung-up.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { linksKnown } from "./links-known.js";
import { destinationOfNode, intendedLinks } from "./mesh-intention.js";

export const PEER_HANDSHAKE = "peer-handshake";

export const peerHandshake: Check = {
  id: PEER_HANDSHAKE,
  title: "the distribution handshake: the node asked for is the one that answers",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const all = (await examination.probes()).filter(accepts);
    if (all.length === 0) return skip("no endpoint of the node accepts connections");
    const findings = await Promise.all(all.map((one) => throughProxy(one, examination)));
    const isThere = all.some(({ probe }) => probe.result === "node");
    return together([...softened(findings, isThere), ...(await shortNamesHere(asked, examination))], UNKNOWN);
  },
};

const HIDDEN =
  "it is a hidden node (-hidden, or a C node): nodes() of the VMs here does not list it, nodes(hidden) does, and global, pg and libraries that follow nodes() leave it out; start it without -hidden if it is to be a member";

/** VMs here that dial no long name, whoever answers. */
async function shortNamesHere({ name, full }: AskedNode, { vms: running, config }: Examination): Promise<Finding[]> {
  if (!isLongName(full)) return [];
  const vms = (await running()).filter(
    ({ aliveName, epmdPort }) => epmdPort === config.port && aliveName !== name.aliveName && !isHelperName(aliveName),
  );
  const short = vms.filter(({ isShort }) => isShort);
  if (short.length === 0) return [];
  const names = short.map(({ aliveName }) => aliveName);
  const who = listed(names);
  const evidence = `${who} here: a short name (-sname), and ${full} is a long one: short and long names never connect`;
  const advice = `start ${who} with -name in place of -sname (a Mix release with RELEASE_DISTRIBUTION=name)`;
  return [ofVms(names, (short.length === vms.length ? fail : warn)("PEER_LONG_NAME", evidence, advice))];
}

/** A proxy accepts for a node that it does not reach. */
async function throughProxy({ endpoint, probe }: ProbedPlace, examination: Examination): Promise<Finding> {
  const { asked } = examination;
  const full = asked?.full ?? "";
  if (asked && probe.result === "erlang" && probe.status === "not_allowed") {
    return notAllowed(`${hostPort(endpoint)}, ${probeWords(probe, full, endpoint)}`, asked, examination);
  }
  const resolution = await examination.resolution();
  const isUpstream = resolution.outcome === "found" && resolution.source === "upstream";
  if (!isUpstream || probe.result !== "closed") return handshake(endpoint, probe, full);
  const destination = asked ? await destinationOfNode(asked, examination) : endpoint.target;
  const links = await intendedLinks(destination, examination);
  return hungUp(
    `${hostPort(endpoint)}, the upstream ${destination} (${probe.elapsedMs.toFixed(1)} ms)`,
    destination,
    links,
  );
}

/** It tells nobody else which nodes are on its list: a VM here that is linked with it must be. */
async function notAllowed(evidence: string, asked: AskedNode, examination: Examination): Promise<Finding> {
  const [{ state, linked }, vms] = await Promise.all([linksKnown(asked, examination), examination.peersOfAsked()]);
  const advice = [
    "net_kernel:allowed/0 in its own shell lists the nodes that it accepts: add the VMs here that are to reach it, with net_kernel:allow/1",
    `their names are ${listed(vms.map(({ node, probe }) => ("name" in probe ? probe.name : node.aliveName)))}`,
  ].slice(0, vms.length > 0 ? 2 : 1);
  if (state === "linked") return ok([evidence, `${listed(linked)} here is on that list, being linked with it`]);
  if (state !== "none") return warn("PEER_NAMELESS", evidence, advice);
  return fail("PEER_NOT_ALLOWED", [evidence, "no VM here is linked with it: probably none is on that list"], advice);
}

function handshake(endpoint: Endpoint, probe: Probe, asked: string): Finding {
  const evidence = `${hostPort(endpoint)}, ${probeWords(probe, asked, endpoint)}`;
  switch (probe.result) {
    case "node":
      return probe.hidden ? warn("PEER_HIDDEN", evidence, HIDDEN, probe.name.split("@")[0]) : ok(evidence);
    case "tls":
      return ok(`${evidence}: its name cannot be seen`);
    case "erlang":
      return warn(
        "PEER_NAMELESS",
        evidence,
        "ask again: it does not tell its name to doctor, and may accept the VMs here; if it goes on so, look at the log of its VM",
      );
    case "other-node": {
      const aliveName = (name: string) => name.split("@")[0]?.toLowerCase();
      // DNS ignores case, a VM does not.
      const sameAlive = aliveName(probe.name) === aliveName(asked);
      return fail(
        sameAlive ? "PEER_OTHER_NAME" : "PEER_OTHER_NODE",
        evidence,
        sameAlive
          ? nameAdvice(probe.name, asked)
          : `another node has that port: run srv-epmd doctor --all on that machine, and look at same-name, catalogue and port-mapping there: did a VM that has ended leave the entry of ${asked}, or is its port mapped wrongly?`,
      );
    }
    case "closed":
      return fail(
        "PEER_CLOSES",
        evidence,
        "a proxy or port mapping accepts the connection and reaches no VM: see that the VM runs, and in a mesh that intentions allow the connection",
      );
    case "connect":
      return fail(
        "PEER_CONNECT",
        evidence,
        "connect-certificate and mesh-intention say whether the fault is here; if not, run srv-epmd doctor --all on that machine, and look at connect-relay and vm-listens there",
      );
    case "silent":
      return fail(
        "PEER_SAYS_NOTHING",
        evidence,
        "run srv-epmd doctor --all on its machine: vm-state says whether the VM is stopped (kill -CONT <its process> continues it); where it runs it is busy, or its port is mapped wrongly (vm-listens, port-mapping)",
      );
    default:
      return fail(
        "PEER_NOT_ERLANG",
        evidence,
        "another program has that port: run srv-epmd doctor --all on that machine, and compare the port there (vm-listens, port-mapping) with this one",
      );
  }
}

/** @param own name of a VM that has the alive name that was asked for */
function nameAdvice(own: string, asked: string): string {
  if (!neverConnect(own, asked)) {
    return `ask for ${own}, or start that VM with -name ${asked}: the whole name must be the same, host part and capitals included`;
  }
  if (isLongName(own)) {
    return `short and long names never connect: start the VMs that ask with -name in place of -sname, and ask for ${own}`;
  }
  return `short and long names never connect: start that VM with -name ${asked} in place of -sname (a Mix release with RELEASE_DISTRIBUTION=name and RELEASE_NODE=${asked})`;
}
