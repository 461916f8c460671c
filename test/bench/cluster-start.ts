import { type Consul, findConsul } from "../support/consul-agent.js";
import { type BareRegistrations, registerBare } from "./bare-registrations.js";
import { startBareServer } from "./bare-server.js";
import { type Asked, askedOf, askedSince, startCountedConsul } from "./counted-consul.js";
import { startDaemons, whenInDns, whenRemoved } from "./daemons.js";
import { holdNodes } from "./held-nodes.js";
import { type Load, prepareLoad } from "./load.js";
import { cpuMs, figure, report, table } from "./measure.js";

const DAEMONS = 20;
const NODES = 1_000;
const LOOKUPS = DAEMONS * NODES;
const AT_ONCE = 64;

interface Start {
  /** Times in milliseconds. */
  readonly registered: number;
  readonly inDns: number;
  readonly lookUps: number;
  readonly misses: number;
  /** Until no node is in DNS, from the end of the connections. */
  readonly out: number;
  readonly gone: number;
  /** What Consul was asked during each part. */
  readonly coming: Asked;
  readonly looking: Asked;
  readonly going: Asked;
  /** CPU time until all nodes are in DNS. */
  readonly cpu: { readonly daemons: number; readonly consul: number };
}

/** 1,000 nodes register with 20 daemons at once, each daemon looks all of them up, and all end at once. */
export async function benchClusterStart(): Promise<void> {
  if (findConsul() === undefined) {
    process.stderr.write("skipped: Consul is not there (bash test/install-peers.sh)\n");
    return;
  }
  const load = await prepareLoad();
  const consul = await startCountedConsul();
  const bare = { ...(await registerBare(consul, NODES)), lookUps: await bareLookUps(load) };
  const followed = await start(consul, load, "auto");
  const asked = await start(consul, load, "none");
  await consul.stop();
  tell(bare, followed, asked);
}

/** As many servers as there are daemons, and as cold. @returns milliseconds for all look-ups */
async function bareLookUps(load: Load): Promise<number> {
  const servers = await Promise.all(Array.from({ length: DAEMONS }, startBareServer));
  const ports = servers.map(({ port }) => port);
  const ms = await load.lookUp(ports, LOOKUPS, AT_ONCE, { nodes: NODES, host: "" });
  await Promise.all(servers.map((server) => server.stop()));
  return ms;
}

async function start(consul: Consul, load: Load, catalogue: "auto" | "none"): Promise<Start> {
  const { ports, cpu, stop } = await startDaemons(consul, DAEMONS, catalogue);
  const consulCpu = () => cpuMs(consul.child().pid);
  const before = { asked: await askedOf(consul), daemons: cpu(), consul: consulCpu() };
  const began = performance.now();
  const seen = whenInDns(consul, NODES);
  const nodes = await holdNodes(ports, { count: NODES });
  const registered = performance.now() - began;
  const inDns = (await seen) - began;
  const spent = { daemons: cpu() - before.daemons, consul: consulCpu() - before.consul };
  const atLookUps = await askedOf(consul);
  const { ms: lookUps, misses } = await load.find(ports, LOOKUPS, AT_ONCE, { nodes: NODES, host: "" });
  const atEnd = await askedOf(consul);
  const released = performance.now();
  nodes.release();
  const out = (await whenInDns(consul, 0)) - released;
  const gone = (await whenRemoved(consul)) - released;
  const after = await askedOf(consul);
  await stop();
  return {
    ...{ registered, inDns, lookUps, misses, out, gone, cpu: spent },
    coming: askedSince(before.asked, atLookUps),
    looking: askedSince(atLookUps, atEnd),
    going: askedSince(atEnd, after),
  };
}

interface Bare extends BareRegistrations {
  /** Milliseconds. */
  readonly lookUps: number;
}

function tell(bare: Bare, followed: Start, asked: Start): void {
  const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2);
  const row = (what: string, value: (start: Start) => string) => [what, value(followed), value(asked)];
  table(
    `Start and end of ${NODES} nodes at ${DAEMONS} daemons, with one Consul agent for all, on one machine`,
    ["", "--catalogue auto", "--catalogue none"],
    [
      row("all registered, s", ({ registered }) => seconds(registered)),
      row("all in DNS, s", ({ inDns }) => seconds(inDns)),
      row(`then ${LOOKUPS} look-ups, s`, ({ lookUps }) => seconds(lookUps)),
      row("of these not found at first", ({ misses }) => String(misses)),
      row("DNS queries for them", ({ looking }) => String(looking.queries)),
      row("all out of DNS after their end, s", ({ out }) => seconds(out)),
      row("all removed after their end, s", ({ gone }) => seconds(gone)),
      row("CPU until in DNS, daemons, s", ({ cpu }) => seconds(cpu.daemons)),
      row("CPU until in DNS, Consul, s", ({ cpu }) => seconds(cpu.consul)),
    ],
  );
  const calls = new Set(
    [followed, asked].flatMap(({ coming, looking, going }) =>
      [coming, looking, going].flatMap(({ calls }) => [...calls.keys()]),
    ),
  );
  const cells = (count: (part: Asked) => number) =>
    [followed, asked].flatMap(({ coming, looking, going }) =>
      [coming, looking, going].map((part) => figure(count(part) / NODES)),
    );
  table(
    "Consul's HTTP API, calls for each node: until in DNS, during the look-ups, until removed",
    ["", ...["auto", "none"].flatMap((catalogue) => [`${catalogue}: start`, "look-ups", "end"])],
    [
      ...Array.from(calls, (call) => [call, ...cells(({ calls }) => calls.get(call) ?? 0)]),
      ["all", ...cells(({ calls }) => Array.from(calls.values()).reduce((sum, count) => sum + count, 0))],
    ],
  );
  const peerName = "PUT alone";
  report(
    `Beside one PUT of a bare script for each of ${NODES} services, and ${DAEMONS} Node servers with a constant answer`,
    [
      { what: "all in DNS, catalogue followed", unit: "ms", ours: followed.inDns, peer: bare.inDns, peerName },
      { what: "all in DNS, --catalogue none", unit: "ms", ours: asked.inDns, peer: bare.inDns, peerName },
      { what: "Consul's CPU time until then", unit: "ms", ours: followed.cpu.consul, peer: bare.cpu, peerName },
      {
        what: "look-ups, catalogue followed",
        unit: "ms",
        ours: followed.lookUps,
        peer: bare.lookUps,
        peerName: "bare servers",
      },
    ],
  );
}
