import { findConsul, startConsul } from "../support/consul-agent.js";
import { startDaemons, whenInDns } from "./daemons.js";
import { holdNodes } from "./held-nodes.js";
import { prepareLoad, speedOf } from "./load.js";
import { median, report } from "./measure.js";

const ROUNDS = 7;
const LOOKUPS = 20_000;
const NODES = 1_000;
const AT_ONCE = 32;

/** CPU time of stock look-ups that the followed catalogue answers, beside those of nodes that are registered with the daemon. */
export async function benchCatalogueLookups(): Promise<void> {
  if (findConsul() === undefined) {
    process.stderr.write("skipped: Consul is not there (bash test/install-peers.sh)\n");
    return;
  }
  const load = await prepareLoad();
  const consul = await startConsul();
  const { daemons, ports, stop } = await startDaemons(consul, 2, "auto");
  const [holder, follower] = daemons;
  if (!holder || !follower) throw new Error("no daemons");
  const nodes = await holdNodes(ports.slice(0, 1), { count: NODES });
  await whenInDns(consul, NODES);
  const once = async ({ port, child: { pid } }: typeof holder) =>
    (await speedOf(load, { port, pid }, LOOKUPS, AT_ONCE, { nodes: NODES, host: "" })).cpuUs;
  const [registered, catalogue]: [number[], number[]] = [[], []];
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    registered.push(await once(holder));
    catalogue.push(await once(follower));
  }
  report(
    `Stock look-ups of ${NODES} nodes in the catalogue: median of ${ROUNDS} rounds of ${LOOKUPS}, by ${load.title}`,
    [
      {
        what: `CPU time, ${AT_ONCE} at once`,
        unit: "µs",
        ours: median(catalogue.slice(1)),
        peer: median(registered.slice(1)),
        peerName: "registered nodes",
      },
    ],
  );
  nodes.release();
  await stop();
  await consul.stop();
}
