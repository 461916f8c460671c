import { setTimeout as sleep } from "node:timers/promises";
import { type Consul, findConsul } from "../support/consul-agent.js";
import { registerBare } from "./bare-registrations.js";
import { askedOf, askedSince, startCountedConsul } from "./counted-consul.js";
import { idsInDns, restingAfter, startDaemons, whenInDns } from "./daemons.js";
import { holdNodes } from "./held-nodes.js";
import { cpuMs, figure, report, table } from "./measure.js";

const DAEMONS = 20;
/** So many stand, and as many come at once. */
const NODES = 1_000;
/** Long enough for the checks of all standing nodes to be passed several times, milliseconds. */
const SETTLE = 20_000;

/** Whether nodes that stand stay in DNS while as many others start. */
export async function benchClusterBurst(): Promise<void> {
  if (findConsul() === undefined) {
    process.stderr.write("skipped: Consul is not there (bash test/install-peers.sh)\n");
    return;
  }
  const consul = await startCountedConsul();
  const { ports, cpu, stop } = await startDaemons(consul, DAEMONS, "auto");
  await holdNodes(ports, { count: NODES });
  await whenInDns(consul, NODES);
  const before = (await idsInDns(consul)) ?? new Set();
  const settled = () => {
    const end = performance.now() + SETTLE;
    return () => performance.now() >= end;
  };
  const calm = await watch(consul, before, settled());
  // Consul is in the state in which the daemons' new nodes find it. These are removed before those come.
  const bare = await registerBare(consul, NODES);
  await sleep(SETTLE);
  const began = performance.now();
  const asked = await askedOf(consul);
  const cpuNow = () => ({ daemons: cpu(), consul: cpuMs(consul.child().pid) });
  const cpuBefore = cpuNow();
  const held = holdNodes(ports, { count: NODES, from: NODES });
  const burst = await watch(consul, before, (present) => present.size === 2 * NODES);
  const inDns = performance.now() - began;
  const spent = cpuNow();
  await held;
  const passes = askedSince(asked, await askedOf(consul)).calls.get("PUT pass") ?? 0;
  const after = await watch(consul, before, settled());
  const left = (what: string, { ids, most }: Watched) => [what, String(ids.size), String(most)];
  table(
    `${NODES} nodes start at ${DAEMONS} daemons while ${NODES} stand, with one Consul agent for all, on one machine`,
    ["", ""],
    [
      ["the new ones in DNS, s", figure(inDns / 1000)],
      ["passes until then", String(passes)],
      ["CPU until then, daemons, s", figure((spent.daemons - cpuBefore.daemons) / 1000)],
      ["CPU until then, Consul, s", figure((spent.consul - cpuBefore.consul) / 1000)],
    ],
  );
  table(
    "Standing nodes that left DNS",
    ["", "in all", "at once"],
    [left(`${SETTLE / 1000} s before`, calm), left("during the start", burst), left(`${SETTLE / 1000} s after`, after)],
  );
  const peerName = "PUT alone";
  report(`Beside one PUT of a bare script for each of ${NODES} services, while the same nodes stand`, [
    { what: "all in DNS", unit: "ms", ours: inDns, peer: bare.inDns, peerName },
    {
      what: "Consul's CPU time until then",
      unit: "ms",
      ours: spent.consul - cpuBefore.consul,
      peer: bare.cpu,
      peerName,
    },
  ]);
  await stop();
  await consul.stop();
}

/** Which of some nodes left DNS meanwhile. */
interface Watched {
  readonly ids: ReadonlySet<string>;
  /** At one look. */
  readonly most: number;
}

async function watch(
  consul: Consul,
  nodes: ReadonlySet<string>,
  isOver: (present: ReadonlySet<string>) => boolean,
): Promise<Watched> {
  const ids = new Set<string>();
  let most = 0;
  const look = async () => {
    const present = await idsInDns(consul);
    if (!present) return false;
    const absent = Array.from(nodes).filter((id) => !present.has(id));
    for (const id of absent) ids.add(id);
    most = Math.max(most, absent.length);
    return isOver(present);
  };
  while (!(await restingAfter(look)));
  return { ids, most };
}
