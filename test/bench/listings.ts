import { findConsul, startConsul } from "../support/consul-agent.js";
import { startStockEpmd } from "../support/epmd.js";
import { freePort } from "../support/free-port.js";
import { http } from "../support/http.js";
import { ask, request } from "../support/raw-epmd.js";
import { runCli } from "../support/srv-epmd.js";
import { SERVICE, startDaemons, whenInDns } from "./daemons.js";
import { holdNodes } from "./held-nodes.js";
import { cpuMs, figure, median, report, table } from "./measure.js";

const ROUNDS = 9;
const NODES = 1_000;
/** Registrations at once: stock epmd has a backlog of 5. */
const AT_ONCE = 4;

interface Answer {
  readonly ms: number;
  readonly bytes: number;
  /** CPU time of the server, milliseconds, in steps of 10. */
  readonly cpu: number;
}

/** Time and size of the answers that list all nodes. */
export async function benchListings(): Promise<void> {
  if (findConsul() === undefined) {
    process.stderr.write("skipped: Consul is not there (bash test/install-peers.sh)\n");
    return;
  }
  const consul = await startConsul();
  const { daemons, ports, stop } = await startDaemons(consul, 1, "auto", ["--admin", "127.0.0.1:0"]);
  const [daemon] = daemons;
  if (!daemon) throw new Error("no daemon");
  const stockPort = await freePort();
  const stock = await startStockEpmd(stockPort);
  await holdNodes(ports, { count: NODES, atOnce: AT_ONCE });
  await holdNodes([stockPort], { count: NODES, atOnce: AT_ONCE });
  await whenInDns(consul, NODES);

  const admin = String(daemon.log().find(({ msg }) => msg === "ready")?.admin);
  const names = (port: number) => async () => (await ask(port, request("n"))).length;
  const page = (path: string) => async () => (await http(admin, path)).body.length;
  const pattern = `*@${SERVICE}`;
  const match = async () => (await runCli(["names", "--port", String(daemon.port), "--match", pattern])).stdout.length;
  const { pid } = daemon.child;
  const ours = await measure(names(daemon.port), pid);
  const theirs = await measure(names(stockPort), stock.pid);
  const rows: [string, Answer][] = [
    ["NAMES", ours],
    [`names --match '${pattern}', the whole command`, await measure(match, pid)],
  ];
  for (const path of ["/", "/metrics", "/v1/status", "/v1/nodes", `/v1/cluster?match=${pattern}`]) {
    rows.push([path, await measure(page(path), pid)]);
  }
  report(`NAMES with ${NODES} nodes: median of ${ROUNDS} rounds`, [
    { what: "time of an answer", unit: "ms", ours: ours.ms, peer: theirs.ms, peerName: "epmd" },
    { what: "size", unit: "kB", ours: ours.bytes / 1000, peer: theirs.bytes / 1000, peerName: "epmd" },
  ]);
  table(
    `Answers with ${NODES} nodes: median of ${ROUNDS} rounds`,
    ["", "ms", "CPU of the daemon, ms", "kB"],
    rows.map(([what, { ms, cpu, bytes }]) => [what, figure(ms), figure(cpu), figure(bytes / 1000)]),
  );
  await Promise.all([stop(), stock.stop()]);
  await consul.stop();
}

/** The first round warms up. @param answer gives the size of the answer in bytes @param pid of the server */
async function measure(answer: () => Promise<number>, pid: number): Promise<Answer> {
  let bytes = await answer();
  const times: number[] = [];
  const cpu = cpuMs(pid);
  while (times.length < ROUNDS) {
    const began = performance.now();
    bytes = await answer();
    times.push(performance.now() - began);
  }
  return { ms: median(times), bytes, cpu: (cpuMs(pid) - cpu) / ROUNDS };
}
