import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpPort } from "../../src/config/network-values.js";
import { findConsul, startConsul } from "../support/consul-agent.js";
import { freePorts } from "../support/free-port.js";
import { findHaproxy, startHaproxy } from "../support/haproxy.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";
import { cpuMs, median, report } from "./measure.js";
import { ADDRESS, startRelayProcess } from "./relay.js";
import { startBenchPeers } from "./relay-peers.js";

const ROUNDS = 5;
const MIB = 512;
const ROUND_TRIPS = 2000;
/** New links that begin at the same moment. */
const AT_ONCE = 500;
const SERVICE = "bench";
/** Long enough for what was loaded or given up to have settled, milliseconds. */
const SETTLE = 2000;

interface Round {
  readonly mibs: number;
  readonly cpu: number;
  readonly rtt: number;
  readonly burst: number;
}

/** Two processes with mutual TLS between them, and the ports that lead through both. */
interface Chain {
  readonly host: string;
  readonly pids: readonly number[];
  readonly sink: number;
  readonly echo: number;
}

/** Mutual TLS of Consul Connect from relay process to relay process, beside two HAProxies with the same certificates. */
export async function benchConnect(): Promise<void> {
  if (findHaproxy() === undefined || findConsul() === undefined) {
    process.stderr.write("skipped: HAProxy or Consul is not there (bash test/install-peers.sh)\n");
    return;
  }
  const consul = await startConsul();
  const [sink = 0, echo = 0, ...ports] = await freePorts(6);
  const peers = await startBenchPeers(sink, echo);
  const theirs = await startHaproxies(await certificate(consul.url), sink, echo, ports);
  const relays = await Promise.all([startRelayProcess(), startRelayProcess()]);
  const ours = await startEnds(consul.url, relays, sink, echo);
  await sleep(SETTLE);

  const measure = async ({ host, pids, sink: toSink, echo: toEcho }: Chain): Promise<Round> => {
    const used = () => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
    const before = used();
    const mibs = await peers.send(host, toSink, MIB);
    const cpu = (used() - before) / (MIB / 1024);
    return {
      ...{ mibs, cpu },
      rtt: await peers.roundTrip(host, toEcho, ROUND_TRIPS),
      burst: await peers.burst(host, toEcho, AT_ONCE),
    };
  };
  const rounds: [Round[], Round[]] = [[], []];
  const direct: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    rounds[0].push(await measure(ours));
    rounds[1].push(await measure(theirs.chain));
    direct.push(await peers.roundTrip("127.0.0.1", echo, ROUND_TRIPS));
  }
  const base = median(direct.slice(1));
  const row = (what: string, unit: string, key: keyof Round, less = 0) => {
    const [one = 0, other = 0] = rounds.map((side) => median(side.slice(1).map((round) => round[key])) - less);
    return { what, unit, ours: one, peer: other, peerName: "2 HAProxies" };
  };
  report(`Consul Connect: median of ${ROUNDS} rounds through two processes (direct ${base.toFixed(0)} µs)`, [
    row("throughput of one link", "MiB/s", "mibs"),
    row("CPU time per GiB, both together", "ms", "cpu"),
    row("added to a 64-byte round trip", "µs", "rtt", base),
    row(`${AT_ONCE} new links at once`, "ms", "burst"),
  ]);
  await Promise.all([...relays.map((relay) => relay.stop()), theirs.stop(), peers.stop()]);
  await consul.stop();
}

type RelayProcess = Awaited<ReturnType<typeof startRelayProcess>>;

/** Two relay processes as ends of one service: the first dials, the second takes callers. */
async function startEnds(
  url: string,
  [near, far]: readonly RelayProcess[],
  sink: number,
  echo: number,
): Promise<Chain> {
  if (!near || !far) throw new Error("no relay processes");
  const end = async ({ client }: RelayProcess, nodes: Readonly<Record<string, number>>) => {
    const listen = { address: "127.0.0.1", port: 0 };
    const reply = await client.ask({ type: "native", service: SERVICE, agent: { url }, listen, recheck: 30_000 });
    if (reply?.type !== "native") throw new Error(JSON.stringify(reply));
    for (const [name, port] of Object.entries(nodes)) {
      await client.ask({ type: "serve", node: `${name}@bench.test`, place: at(port) });
    }
    const hasCertificate = async () => (await client.status())?.native?.certificate !== undefined;
    await waitFor(hasCertificate, { what: "a certificate of Connect" });
    return reply.port;
  };
  await end(near, { caller: 1 });
  const callers = at(await end(far, { sink, echo }));
  const peer = { service: SERVICE };
  return {
    ...{ host: ADDRESS, pids: [near.pid, far.pid] },
    sink: await near.relay("sink", callers, peer),
    echo: await near.relay("echo", callers, peer),
  };
}

interface PemFiles {
  readonly pair: string;
  readonly ca: string;
}

/** The certificate of the service, from the agent. */
async function certificate(url: string): Promise<PemFiles> {
  const folder = await temporaryFolder("bench");
  const ask = async (path: string) =>
    (await (await fetch(`${url}/v1/agent/connect/ca/${path}`)).json()) as Record<string, string> & {
      readonly Roots: readonly { readonly RootCert: string }[];
    };
  const [{ CertPEM, PrivateKeyPEM }, { Roots }] = await Promise.all([ask(`leaf/${SERVICE}`), ask("roots")]);
  const files = { pair: join(folder, "pair.pem"), ca: join(folder, "ca.pem") };
  await writeFile(files.pair, `${CertPEM}${PrivateKeyPEM}`);
  await writeFile(files.ca, Roots.map(({ RootCert }) => RootCert).join(""));
  return files;
}

/** Two for each way: one makes mutual TLS and one takes it. */
async function startHaproxies(files: PemFiles, sink: number, echo: number, ports: readonly number[]) {
  const [secureSink = 0, secureEcho = 0, toSink = 0, toEcho = 0] = ports;
  const local = (port: number) => `127.0.0.1:${port}`;
  const [takesTls, makesTls] = [files, files];
  const bulk = [
    await startHaproxy({ listen: local(secureSink), target: local(sink), takesTls }),
    await startHaproxy({ listen: local(toSink), target: local(secureSink), makesTls }),
  ];
  const small = [
    await startHaproxy({ listen: local(secureEcho), target: local(echo), takesTls }),
    await startHaproxy({ listen: local(toEcho), target: local(secureEcho), makesTls }),
  ];
  const chain: Chain = {
    ...{ host: "127.0.0.1", pids: bulk.map(({ child }) => child.pid) },
    ...{ sink: toSink, echo: toEcho },
  };
  return { chain, stop: () => Promise.all([...bulk, ...small].map((each) => each.stop())) };
}

const at = (port: number): IpPort => ({ address: "127.0.0.1", port });
