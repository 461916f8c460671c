import { hostPort, isLoopback } from "../net/ip.js";
import { META_NODE } from "../publish/core/service-entry.js";
import { apart, type Finding, ok, skip, together, warn } from "./core/finding.js";
import { apartFrom, explainStuck } from "./core/stuck-link.js";
import { entriesOf } from "./entries-of.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { placesOf } from "./known-of-node.js";
import { type Link, linksHere } from "./links.js";
import { NO_NODE } from "./local-epmd.js";
import { onceEach } from "./once.js";
import { epmdPortAt } from "./probe-place.js";

/** Octets are sent again once or twice on a good network too. */
const MANY = 3;

export const vmLinks: Check = {
  id: "vm-links",
  title:
    "what goes over links of the VMs here is acknowledged: else the other machine is down, or the way loses packets",
  run: async (examination) => {
    if ((await examination.nodes()).length === 0) return skip(NO_NODE);
    const links = await linksHere(examination);
    if (links.length === 0) return skip("no link of the VMs here is seen");
    const stuck = links.filter(({ connection }) => connection.repeats >= MANY);
    if (stuck.length > 0) return judgeAll(stuck, examination);
    return ok(`${links.length === 1 ? "the link" : `the ${links.length} links`} of the VMs here: all is acknowledged`);
  },
};

async function judgeAll(stuck: readonly Link[], examination: Examination): Promise<Finding> {
  const { asked, config, machine } = examination;
  const own = new Set(machine.addresses());
  const isHere = (address: string) => isLoopback(address) || own.has(address);
  const machineOfAsked = asked
    ? await machineOf(asked, examination)
    : { addresses: new Set<string>(), isCutOff: false };
  const epmdPort = onceEach((address: string) => epmdPortAt(address, config.port), String);
  const findings = stuck.map(async ({ aliveName, connection }) => {
    const { address } = connection.remote;
    const { evidence, advice } = explainStuck({
      ...{ aliveName, connection },
      epmdPort: isHere(address) ? undefined : await epmdPort(address),
    });
    const isItsMachine = machineOfAsked.addresses.has(address);
    const about = isItsMachine ? asked?.name.aliveName : aliveName;
    const { isCutOff } = machineOfAsked;
    return apart(apartFrom(connection, { isItsMachine, isCutOff }), warn("LINK_STUCK", evidence, advice, about));
  });
  return together(await Promise.all(findings), "");
}

/** Where the node that was asked for is, was found, or is published. */
async function machineOf(asked: AskedNode, examination: Examination) {
  const [{ known: places }, entries] = await Promise.all([placesOf(asked, examination), entriesOf(asked, examination)]);
  const known = new Set(places.map((place) => hostPort(place)));
  const own = entries.filter((entry) => {
    return known.has(hostPort(entry)) || entry.meta[META_NODE]?.toLowerCase() === asked.full.toLowerCase();
  });
  const published = own.flatMap(({ address, machineAddress }) => [address, machineAddress ?? address]);
  return {
    addresses: new Set([...places.map(({ address }) => address), ...published]),
    isCutOff: own.some(({ obstacle }) => obstacle?.kind === "agent"),
  };
}
