import { type Probe, probeWords } from "../distribution/core/words.js";
import { isHelperName, isLongName, neverConnect } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { hungUp } from "./core/hung-up.js";
import type { AskedNode, Check, Dialled, Examination } from "./examination.js";
import { destinationOfNode, intendedLinks } from "./mesh-intention.js";
import { accepts, NOT_NAMED, softened, UNKNOWN } from "./peer.js";

export const peerHandshake: Check = {
  id: "peer-handshake",
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

/** VMs here that dial no long name, whoever answers. */
async function shortNamesHere({ name, full }: AskedNode, { vms: running, config }: Examination): Promise<Finding[]> {
  if (!isLongName(full)) return [];
  const vms = (await running()).filter(
    ({ aliveName, epmdPort }) => epmdPort === config.port && aliveName !== name.aliveName && !isHelperName(aliveName),
  );
  const short = vms.filter(({ isShort }) => isShort);
  if (short.length === 0) return [];
  const who = listed(short.map(({ aliveName }) => aliveName));
  const evidence = `${who} here: a short name (-sname), and ${full} is a long one: short and long names never connect`;
  const advice = `start ${who} with -name in place of -sname (a Mix release with RELEASE_DISTRIBUTION=name)`;
  return [short.length === vms.length ? fail(evidence, advice) : warn(evidence, advice)];
}

/** A proxy accepts for a node that it does not reach. */
async function throughProxy({ endpoint, probe }: Dialled, examination: Examination): Promise<Finding> {
  const { asked } = examination;
  const full = asked?.full ?? "";
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

function handshake(endpoint: Endpoint, probe: Probe, asked: string): Finding {
  const evidence = `${hostPort(endpoint)}, ${probeWords(probe, asked, endpoint)}`;
  switch (probe.result) {
    case "node":
      return ok(evidence);
    case "tls":
      return ok(`${evidence}: its name cannot be seen`);
    case "erlang":
      return warn(evidence, ["it does not tell its name to doctor", "it may accept VMs whose names it allows"]);
    case "other-node": {
      const aliveName = (name: string) => name.split("@")[0]?.toLowerCase();
      // DNS ignores case, a VM does not.
      const sameAlive = aliveName(probe.name) === aliveName(asked);
      return fail(
        evidence,
        sameAlive
          ? nameAdvice(probe.name, asked)
          : `another node has that port: did a VM that has ended leave the entry of ${asked}, or is its port mapped wrongly? Run srv-epmd doctor on that machine`,
      );
    }
    case "closed":
      return fail(
        evidence,
        "a proxy or port mapping accepts the connection and reaches no VM: see that the VM runs, and in a mesh that intentions allow the connection",
      );
    default:
      return fail(evidence, "another program has that port: is it mapped wrongly? Run srv-epmd doctor on that machine");
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
