import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "../support/child.js";
import { findConsul, startConsul } from "../support/consul-agent.js";
import { a, srv, startFakeDns } from "../support/fake-dns-server.js";
import { freePorts } from "../support/free-port.js";
import { startDaemon } from "../support/srv-epmd.js";
import { SERVICE, whenInDns } from "./daemons.js";
import { type HeldNodes, holdNodes } from "./held-nodes.js";
import { type Load, prepareLoad } from "./load.js";
import { cpuMs, figure, table } from "./measure.js";
import { MEASURED, memoryOf } from "./memory.js";
import { ADDRESS, startRelayProcess } from "./relay.js";
import { startBenchPeers } from "./relay-peers.js";

const SIZES = [10, 100, 1_000, 10_000];
/** A relay process has 4,000 ports at an address, and two descriptors for each link. */
const RELAY_SIZES = [10, 100, 1_000, 4_000];
/** A daemon publishes 1,024 nodes. */
const PUBLISHED_SIZES = [10, 100, 1_000];
const AT_ONCE = 32;
/** Look-ups of each measurement at least. */
const LOOKUPS = 5_000;
/** Long enough for what was opened to have settled, milliseconds. */
const SETTLE = 1_000;
/** CPU time of standing nodes is measured for so long, milliseconds. */
const STANDING = 10_000;
/** Ten times as many may cost so many times as much each, and it counts as linear: figures of one run vary. */
const LINEAR = 1.5;

/** Something of which a process has many. */
interface Subject {
  readonly what: string;
  readonly sizes: readonly number[];
  readonly child: Child;
  /** Makes more of them. @param from so many are there */
  readonly grow: (from: number, to: number) => Promise<unknown>;
  /** An operation with so many there; how often it was done. */
  readonly use?: { readonly what: string; readonly run: (size: number) => Promise<number> };
}

/** Memory and CPU time for each node, cached name, relay and link, with more and more of them. */
export async function benchGrowth(): Promise<void> {
  const load = await prepareLoad();
  await registeredNodes(load);
  await cachedNames(load);
  if (findConsul() === undefined) process.stderr.write("published nodes: skipped, Consul is not there\n");
  else await publishedNodes();
  await relaysAndLinks();
}

async function registeredNodes(load: Load): Promise<void> {
  const daemon = await startDaemon({
    nodeArgs: MEASURED,
    args: ["--max-nodes", "20000", "--max-connections", "20000"],
  });
  const held: HeldNodes[] = [];
  await measure({
    ...{ what: "registered node", sizes: SIZES, child: daemon.child },
    grow: async (from, to) => held.push(await holdNodes([daemon.port], { from, count: to - from, atOnce: AT_ONCE })),
    use: lookUps(load, daemon.port, ""),
  });
  for (const nodes of held) nodes.release();
  await daemon.stop();
}

async function cachedNames(load: Load): Promise<void> {
  const server = await startFakeDns(({ qname, qtype }) => {
    if (qtype !== "SRV") return { answers: [] };
    const target = `target.${qname}`;
    return { answers: [srv(qname, target, 9100, { ttl: 3600 })], additionals: [a(target, "10.0.0.1", 3600)] };
  });
  const args = ["--dns", `${server.address}:${server.port}`, "--prefer-reachable", "false", "--max-ttl", "1h"];
  const daemon = await startDaemon({ nodeArgs: MEASURED, args });
  await measure({
    ...{ what: "cached name", sizes: SIZES, child: daemon.child },
    grow: (_, to) => load.lookUp(daemon.port, to, AT_ONCE, { nodes: to }),
    use: lookUps(load, daemon.port, undefined),
  });
  await Promise.all([daemon.stop(), server.close()]);
}

async function publishedNodes(): Promise<void> {
  const consul = await startConsul();
  const args = ["--domain", SERVICE, "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`];
  const daemon = await startDaemon({ nodeArgs: MEASURED, args });
  await measure({
    ...{ what: "published node", sizes: PUBLISHED_SIZES, child: daemon.child },
    grow: async (from, to) => {
      await holdNodes([daemon.port], { from, count: to - from });
      await whenInDns(consul, to);
    },
    use: { what: "s of standing", run: (size) => sleep(STANDING, (size * STANDING) / 1000) },
  });
  await daemon.stop();
  await consul.stop();
}

async function relaysAndLinks(): Promise<void> {
  const [sink = 0, echo = 0] = await freePorts(2);
  const peers = await startBenchPeers(sink, echo);
  const relays = await startRelayProcess(MEASURED);
  const endpoint = { address: "127.0.0.1", port: echo };
  let port = 0;
  await measure({
    ...{ what: "idle relay", sizes: RELAY_SIZES.map((size) => Math.min(size, 3_900)), child: relays.child },
    grow: async (from, to) => {
      for (let number = from; number < to; number++) port = await relays.relay(`n${number}`, endpoint);
    },
  });
  await relays.stop();
  const linked = await startRelayProcess(MEASURED);
  port = await linked.relay("n0", endpoint);
  const links: Socket[] = [];
  await measure({
    ...{ what: "idle link", sizes: RELAY_SIZES, child: linked.child },
    grow: async (from, to) => {
      for (let number = from; number < to; number++) links.push(await link(port));
    },
  });
  for (const socket of links) socket.destroy();
  await Promise.all([linked.stop(), peers.stop()]);
}

/** A link, idle after an exchange of 64 bytes. */
function link(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: ADDRESS, port, noDelay: true });
    socket.write(Buffer.alloc(64));
    socket.once("data", () => resolve(socket));
    socket.on("error", reject);
  });
}

/** @param host see Load */
function lookUps(load: Load, port: number, host: string | undefined): NonNullable<Subject["use"]> {
  return {
    what: "look-up",
    run: async (nodes) => {
      const count = Math.max(nodes, LOOKUPS);
      await load.lookUp(port, count, AT_ONCE, { nodes, ...(host !== undefined && { host }) });
      return count;
    },
  };
}

async function measure({ what, sizes, child, grow, use }: Subject): Promise<void> {
  let before = await memoryOf(child);
  let from = 0;
  const cpuOf = async (run: () => Promise<unknown>) => {
    const spent = cpuMs(child.pid);
    const result = await run();
    return { micros: (cpuMs(child.pid) - spent) * 1000, result };
  };
  const figures: { resident: number; heap: number; made: number; used: number }[] = [];
  for (const size of sizes) {
    const more = size - from;
    const { micros: made } = await cpuOf(() => grow(from, size));
    await sleep(SETTLE);
    const now = await memoryOf(child);
    const used = use && (await cpuOf(() => use.run(size)));
    figures.push({
      resident: (now.resident - before.resident) / more / 1024,
      heap: (now.heap - before.heap) / more / 1024,
      made: made / more,
      used: used ? used.micros / Number(used.result) : Number.NaN,
    });
    before = now;
    from = size;
  }
  const row = (name: string, key: keyof (typeof figures)[number]) => {
    const values = figures.map((each) => each[key]);
    return [name, ...values.map(figure), verdict(values)];
  };
  table(
    `${what}: each of those that came last`,
    ["", ...sizes.map(String), ""],
    [
      row("resident, KiB", "resident"),
      row("heap, KiB", "heap"),
      row("CPU to make it, µs", "made"),
      ...(use ? [row(`CPU of a ${use.what}, µs`, "used")] : []),
    ],
  );
}

/** Whether the last figure is much larger than the one before: at the first sizes the fixed costs are most of it. */
function verdict(values: readonly number[]): string {
  const [before = 0, last = 0] = values.slice(-2);
  const ratio = last / before;
  return ratio <= LINEAR || last <= 0 ? "linear" : `not linear: ${figure(ratio)} times`;
}
