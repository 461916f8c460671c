import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpPort } from "../../src/config/network-values.js";
import { createLogger } from "../../src/daemon/logger.js";
import { startRelayClient } from "../../src/relay/client.js";
import type { RelayPeer } from "../../src/relay/wire/target.js";
import { startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { freePorts } from "../support/free-port.js";
import { findHaproxy, startHaproxy } from "../support/haproxy.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { cpuMs, median, report, residentKiB } from "./measure.js";
import { startBenchPeers } from "./relay-peers.js";

const ROUNDS = 9;
const MIB = 1024;
const ROUND_TRIPS = 3000;
const MANY = 1000;
export const ADDRESS = "127.64.0.1";
/** Long enough for what was loaded or given up to have settled, milliseconds. */
const SETTLE = 2000;

/** The relay process, and a function that makes a relay there. @param nodeArgs flags of Node itself */
export async function startRelayProcess(nodeArgs: readonly string[] = []) {
  const socket = join(await temporaryFolder("bench"), "run", "relay.sock");
  const args = [...nodeArgs, BIN, "relay", "--relay-socket", socket, "--log-format", "json"];
  const child = startChild(process.execPath, args, { env: cleanEnvironment() });
  await child.waitForOutput(/"msg":"ready"/);
  const client = startRelayClient({
    socket,
    ports: { low: 61_000, high: 64_999 },
    start: undefined,
    onPairs: () => {},
    ownPairs: () => [],
    onDialFailed: () => {},
    log: createLogger({ level: "silent", format: "json", write: () => {} }),
  });
  await client.ready;
  const relay = async (node: string, endpoint: IpPort, peer?: RelayPeer) => {
    const relayed = await client.ensure({ node: `${node}@bench.test`, address: ADDRESS, endpoints: [endpoint], peer });
    if (relayed.outcome === "failed") throw new Error(relayed.reason);
    return relayed.port;
  };
  return { child, pid: child.pid, client, relay, stop: () => Promise.all([client.close(), child.stop()]) };
}

/** A link through each port, idle after an exchange of 64 bytes. */
async function holdLinks(host: string, ports: readonly number[]): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (const port of ports) {
    const socket = connect({ host, port });
    socket.on("error", () => {});
    sockets.push(socket);
    socket.write(Buffer.alloc(64));
    await new Promise((resolve) => socket.once("data", resolve));
  }
  await sleep(SETTLE);
  return sockets;
}

/** Forwarding beside HAProxy in TCP mode with one thread, and what idle relays and links cost. */
export async function benchRelay(): Promise<void> {
  if (findHaproxy() === undefined) {
    process.stderr.write("skipped: HAProxy is not there (bash test/install-peers.sh)\n");
    return;
  }
  const [sink = 0, echo = 0, toSink = 0, toEcho = 0] = await freePorts(4);
  const peers = await startBenchPeers(sink, echo);
  const relays = await startRelayProcess();
  await sleep(SETTLE);
  const empty = residentKiB(relays.pid);
  const bulk = await startHaproxy({ listen: `127.0.0.1:${toSink}`, target: `127.0.0.1:${sink}` });
  const small = await startHaproxy({ listen: `127.0.0.1:${toEcho}`, target: `127.0.0.1:${echo}` });
  const ours = { sink: await relays.relay("sink", at(sink)), echo: await relays.relay("echo", at(echo)) };

  const rounds: { mibs: number; cpu: number; rtt: number }[][] = [[], []];
  const direct: number[] = [];
  const measure = async (host: string, port: number, echoPort: number, pid: number) => {
    const cpu = cpuMs(pid);
    const mibs = await peers.send(host, port, MIB);
    const used = cpuMs(pid) - cpu;
    return { mibs, cpu: used / (MIB / 1024), rtt: await peers.roundTrip(host, echoPort, ROUND_TRIPS) };
  };
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    rounds[0]?.push(await measure(ADDRESS, ours.sink, ours.echo, relays.pid));
    rounds[1]?.push(await measure("127.0.0.1", toSink, toEcho, bulk.child.pid));
    direct.push(await peers.roundTrip("127.0.0.1", echo, ROUND_TRIPS));
  }
  const of = (side: number, key: "mibs" | "cpu" | "rtt") =>
    median((rounds[side] ?? []).slice(1).map((round) => round[key]));
  const base = median(direct.slice(1));
  const row = (what: string, unit: string, key: "mibs" | "cpu" | "rtt", less = 0) => {
    return { what, unit, ours: of(0, key) - less, peer: of(1, key) - less, peerName: "HAProxy" };
  };
  report(
    `Relay: median of ${ROUNDS} rounds of ${MIB} MiB and ${ROUND_TRIPS} round trips (direct ${base.toFixed(0)} µs)`,
    [
      row("throughput of one link", "MiB/s", "mibs"),
      row("CPU time per GiB", "ms", "cpu"),
      row("added to a 64-byte round trip", "µs", "rtt", base),
    ],
  );
  await Promise.all([relays.stop(), bulk.stop()]);

  const idle = await startRelayProcess();
  const ports: number[] = [];
  while (ports.length < MANY) ports.push(await idle.relay(`n${ports.length}`, at(echo)));
  await sleep(SETTLE);
  const listening = residentKiB(idle.pid);
  const links = await holdLinks(ADDRESS, ports);
  const linked = residentKiB(idle.pid);
  for (const link of links) link.destroy();
  const haproxy = residentKiB(small.child.pid);
  const theirs = await holdLinks(
    "127.0.0.1",
    Array.from({ length: MANY }, () => toEcho),
  );
  const haproxyLinked = residentKiB(small.child.pid);
  for (const link of theirs) link.destroy();
  const mib = (what: string, kib: number, peer: number, peerName: string) => {
    return { what, unit: "MiB", ours: kib / 1024, peer: peer / 1024, peerName };
  };
  report("Resident memory of the relay process", [
    mib("no relay", empty, haproxy, "HAProxy"),
    mib(`${MANY} idle relays`, listening, empty, "no relay"),
    mib(`${MANY} idle links`, linked, haproxyLinked, `HAProxy, ${MANY} links`),
  ]);
  await Promise.all([idle.stop(), small.stop(), peers.stop()]);
}

const at = (port: number): IpPort => ({ address: "127.0.0.1", port });
