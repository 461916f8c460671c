import { startStockEpmd } from "../support/epmd.js";
import { freePort } from "../support/free-port.js";
import { rawNode } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { startBareServer } from "./bare-server.js";
import { prepareLoad, type Speed, speedOf } from "./load.js";
import { median, type Row, report } from "./measure.js";

const ROUNDS = 7;
const LOOKUPS = 20_000;
const AT_ONCE = 32;

/**
 * Look-ups of a node alive here, one connection each, as stock clients make them. Stock epmd shows what C does; the bare server
 * shows what a server in one process of Node does at least.
 */
export async function benchLookups(): Promise<void> {
  const load = await prepareLoad();
  const daemon = await startDaemon();
  const stockPort = await freePort();
  const stock = await startStockEpmd(stockPort);
  const bare = await startBareServer();
  const nodes = [await rawNode(daemon.port, { name: "bench" }), await rawNode(stockPort, { name: "bench" })];
  const servers = [{ port: daemon.port, pid: daemon.child.pid }, { port: stockPort, pid: stock.pid }, bare];
  const rounds: Speed[][] = servers.map(() => []);
  // The first round of each warms up.
  for (let index = 0; index <= ROUNDS; index++) {
    for (const [which, server] of servers.entries()) rounds[which]?.push(await speedOf(load, server, LOOKUPS, AT_ONCE));
  }
  const of = (which: number, key: keyof Speed) => median((rounds[which] ?? []).slice(1).map((one) => one[key]));
  const peers = ["epmd", "bare server"].map((peerName, index) => ({ peerName, which: index + 1 }));
  const rows = peers.flatMap(({ peerName, which }): Row[] => {
    const row = (what: string, unit: string, key: keyof Speed): Row => {
      return { what, unit, ours: of(0, key), peer: of(which, key), peerName };
    };
    return [row("look-ups per second", "/s", "perSecond"), row("CPU time per look-up", "µs", "cpuUs")];
  });
  report(
    `Look-ups of a registered node: median of ${ROUNDS} rounds of ${LOOKUPS}, ${AT_ONCE} at once, by ${load.title}`,
    rows,
  );
  await Promise.all(nodes.map((node) => node.close()));
  await Promise.all([daemon.stop(), stock.stop(), bare.stop()]);
}
