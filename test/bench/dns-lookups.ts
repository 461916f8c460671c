import { findConsul, startConsul } from "../support/consul-agent.js";
import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { rawNode } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { startAskingServer } from "./bare-server.js";
import { SERVICE, startDaemons, whenInDns } from "./daemons.js";
import { holdNodes } from "./held-nodes.js";
import { type Load, prepareLoad, type Server, speedOf } from "./load.js";
import { median, type Row, report } from "./measure.js";

const ROUNDS = 7;
const LOOKUPS = 5_000;
/** Of an agent, which takes longer. */
const FEWER = 2_000;
const NODES = 1_000;
const AT_ONCE = [32, 256] as const;
/** Each look-up has a query of its own, and nothing is dialled. */
const BY_DNS = ["--catalogue", "none", "--prefer-reachable", "false"];
const BARE = "bare server that asks DNS";

/** As of Consul: a TTL of 0, so that nothing is cached, and the address in the additional section. */
function answer({ qname, qtype }: SeenQuery) {
  if (qtype !== "SRV") return { answers: qtype === "A" ? [a(qname, "10.0.0.1")] : [] };
  const target = "0a000001.addr.dc1.consul";
  return { answers: [srv(qname, target, 9100)], additionals: [a(target, "10.0.0.1")] };
}

/** Look-ups that DNS answers, each with a query of its own, beside a bare server that asks it for each answer. */
export async function benchDnsLookups(): Promise<void> {
  const load = await prepareLoad();
  const dns = await startFakeDns(answer);
  const start = async (): Promise<Servers> => {
    const [daemon, bare] = await Promise.all([
      startDaemon({ args: ["--dns", `${dns.address}:${dns.port}`, ...BY_DNS] }),
      startAskingServer(dns.port, "n1.bench.test"),
    ]);
    return {
      ours: { port: daemon.port, pid: daemon.child.pid },
      bare,
      stop: async () => void (await Promise.all([daemon.stop(), bare.stop()])),
    };
  };
  const cold = await coldCpu(load, start);
  const servers = await start();
  const warm = await warmCpu(load, servers);
  await Promise.all([servers.stop(), dns.close()]);
  report(`Look-ups of ${NODES} nodes that DNS has: median of ${ROUNDS} rounds, by ${load.title}`, [...cold, ...warm]);
  if (findConsul() === undefined) process.stderr.write("Consul is not there (bash test/install-peers.sh)\n");
  else report(`The same with the DNS of a Consul agent: median of ${ROUNDS} rounds`, await besideConsul(load));
}

interface Servers {
  readonly ours: Server;
  readonly bare: Server;
  readonly stop: () => Promise<void>;
}

/** @returns microseconds of CPU time for each look-up */
async function cpuOf(load: Load, server: Server, lookUps: number, atOnce: number, nodes: number): Promise<number> {
  return (await speedOf(load, server, lookUps, atOnce, { nodes })).cpuUs;
}

/** The first look-up of each name, in processes that have just started. */
async function coldCpu(load: Load, start: () => Promise<Servers>): Promise<readonly Row[]> {
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const servers = await start();
    ours.push(await cpuOf(load, servers.ours, NODES, AT_ONCE[0], NODES));
    bare.push(await cpuOf(load, servers.bare, NODES, AT_ONCE[0], 0));
    await servers.stop();
  }
  const what = `CPU time, a process's first ${NODES}`;
  return [{ what, unit: "µs", ours: median(ours), peer: median(bare), peerName: BARE }];
}

async function warmCpu(load: Load, { ours, bare }: Servers): Promise<readonly Row[]> {
  const node = await rawNode(ours.port, { name: "bench" });
  const figures = AT_ONCE.map((atOnce) => ({
    atOnce,
    dns: [] as number[],
    asked: [] as number[],
    here: [] as number[],
  }));
  // The first round of each warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { atOnce, dns, asked, here } of figures) {
      dns.push(await cpuOf(load, ours, LOOKUPS, atOnce, NODES));
      asked.push(await cpuOf(load, bare, LOOKUPS, atOnce, 0));
      here.push(await cpuOf(load, ours, LOOKUPS, atOnce, 0));
    }
  }
  await node.close();
  const of = (rounds: readonly number[]) => median(rounds.slice(1));
  return figures.flatMap(({ atOnce, dns, asked, here }) => {
    const row = { what: `CPU time, ${atOnce} at once`, unit: "µs", ours: of(dns) };
    return [
      { ...row, peer: of(asked), peerName: BARE },
      { ...row, peer: of(here), peerName: "registered node" },
    ];
  });
}

/** Look-ups a second, where the agent needs as much of the processors. */
async function besideConsul(load: Load): Promise<readonly Row[]> {
  const consul = await startConsul();
  const { ports, stop } = await startDaemons(consul, 1, "none");
  const nodes = await holdNodes(ports, { count: NODES });
  await whenInDns(consul, NODES);
  const daemon = await startDaemon({
    args: ["--domain", SERVICE, "--register", "none", "--dns", `127.0.0.1:${consul.dnsPort}`, ...BY_DNS],
  });
  const bare = await startAskingServer(consul.dnsPort, `n1.${SERVICE}.service.consul`);
  // The bare server does not repeat a query, and an agent that is asked by many more at once loses some.
  const rate = async (server: Server, nodes: number) =>
    (await speedOf(load, server, FEWER, AT_ONCE[0], { nodes, host: `@${SERVICE}` })).perSecond;
  const [ours, peer]: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    ours.push(await rate({ port: daemon.port, pid: daemon.child.pid }, NODES));
    peer.push(await rate(bare, 0));
  }
  nodes.release();
  await Promise.all([daemon.stop(), bare.stop(), stop()]);
  await consul.stop();
  const what = `rate, ${AT_ONCE[0]} at once`;
  return [{ what, unit: "/s", ours: median(ours.slice(1)), peer: median(peer.slice(1)), peerName: BARE }];
}
