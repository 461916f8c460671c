import { ageOf } from "../catalogue/core/instances.js";
import { hostPort } from "../net/ip.js";
import { ageWords, listed } from "../text.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { fail, ok, skip } from "./core/finding.js";
import { entriesOf } from "./entries-of.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";

const STOP_ONE =
  "two nodes of one name cannot be in one cluster, and a look-up leads to either: stop the one that should not be, or give it another name. In a rolling update the older one ends by itself";

export const peerTwice: Check = {
  id: "peer-twice",
  title: "one VM has the name of the node, and not two on two machines",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const vms = await examination.vmsNamed();
    if (vms.length === 0) return skip(UNKNOWN);
    if (vms.length === 1) return ok(`one VM has the name ${asked.full}`);
    const since = await publishedSince(asked, examination);
    const places = vms.map(({ endpoint, origin, probe }) => {
      const { at, machine } = since.get(hostPort(endpoint)) ?? {};
      const age = at === undefined ? "" : `, published ${ageWords(at)} ago`;
      const creation = probe.result === "node" && probe.creation !== undefined ? `, creation ${probe.creation}` : "";
      const where = machine === undefined ? "" : ` on ${machine}`;
      return `${hostPort(endpoint)}${origin === "here" ? " here" : where}${age}${creation}`;
    });
    return fail("PEER_TWICE", `${vms.length} VMs are called ${asked.full}: ${listed(places)}`, STOP_ONE);
  },
};

interface Since {
  /** Age in seconds; undefined for an entry that no srv-epmd made. */
  readonly at: number | undefined;
  readonly machine: string;
}

/** By `ip:port`; empty where Consul does not tell. */
async function publishedSince(asked: AskedNode, examination: Examination): Promise<ReadonlyMap<string, Since>> {
  const members = await entriesOf(asked, examination);
  const at = examination.now();
  return new Map(members.map((member) => [hostPort(member), { at: ageOf(member.meta, at), machine: member.machine }]));
}
