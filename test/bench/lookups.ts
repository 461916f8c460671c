import { connect } from "node:net";
import { startStockEpmd } from "../support/epmd.js";
import { freePort } from "../support/free-port.js";
import { rawNode } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { cpuMs, median, type Row, report } from "./measure.js";

const ROUNDS = 5;
const LOOKUPS = 6000;
const AT_ONCE = 32;
/** PORT_PLEASE2_REQ of `bench`. */
const REQUEST = Buffer.from("00067a62656e6368", "hex");

interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
}

function lookUp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(REQUEST));
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.on("error", reject);
    socket.on("close", () => (bytes > 2 ? resolve() : reject(new Error(`${bytes} bytes from port ${port}`))));
  });
}

async function round(port: number, pid: number): Promise<Round> {
  const cpu = cpuMs(pid);
  const started = performance.now();
  let left = LOOKUPS;
  const worker = async () => {
    while (left-- > 0) await lookUp(port);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return {
    perSecond: (LOOKUPS / (performance.now() - started)) * 1000,
    cpuUs: ((cpuMs(pid) - cpu) / LOOKUPS) * 1000,
  };
}

/** Look-ups of a node alive here, one connection each, as stock clients make them. */
export async function benchLookups(): Promise<void> {
  const daemon = await startDaemon();
  const stockPort = await freePort();
  const stock = await startStockEpmd(stockPort);
  const nodes = [await rawNode(daemon.port, { name: "bench" }), await rawNode(stockPort, { name: "bench" })];
  const ours: Round[] = [];
  const theirs: Round[] = [];
  // The first round of each warms up.
  for (let index = 0; index <= ROUNDS; index++) {
    ours.push(await round(daemon.port, daemon.child.pid));
    theirs.push(await round(stockPort, stock.pid));
  }
  const row = (what: string, unit: string, key: "perSecond" | "cpuUs"): Row => ({
    what,
    unit,
    ours: median(ours.slice(1).map((result) => result[key])),
    peer: median(theirs.slice(1).map((result) => result[key])),
    peerName: "epmd",
  });
  report(`Look-ups of a registered node: median of ${ROUNDS} rounds of ${LOOKUPS}, ${AT_ONCE} at once`, [
    row("look-ups per second", "/s", "perSecond"),
    row("CPU time per look-up", "µs", "cpuUs"),
  ]);
  await Promise.all(nodes.map((node) => node.close()));
  await Promise.all([daemon.stop(), stock.stop()]);
}
