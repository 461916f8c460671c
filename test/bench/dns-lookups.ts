import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { rawNode } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { prepareLoad } from "./load.js";
import { cpuMs, median, report } from "./measure.js";

const ROUNDS = 7;
const LOOKUPS = 5_000;
const NODES = 1_000;
const AT_ONCE = [32, 256] as const;

/** As of Consul: a TTL of 0, so that nothing is cached, and the address in the additional section. */
function answer({ qname, qtype }: SeenQuery) {
  if (qtype !== "SRV") return { answers: qtype === "A" ? [a(qname, "10.0.0.1")] : [] };
  const target = "0a000001.addr.dc1.consul";
  return { answers: [srv(qname, target, 9100)], additionals: [a(target, "10.0.0.1")] };
}

/** CPU time of look-ups that DNS answers, each with a query of its own, beside those of a registered node. */
export async function benchDnsLookups(): Promise<void> {
  const load = await prepareLoad();
  const server = await startFakeDns(answer);
  const daemon = await startDaemon({
    args: ["--dns", `${server.address}:${server.port}`, "--prefer-reachable", "false"],
  });
  const node = await rawNode(daemon.port, { name: "bench" });
  const once = async (atOnce: number, nodes: number) => {
    const cpu = cpuMs(daemon.child.pid);
    await load.lookUp(daemon.port, LOOKUPS, atOnce, { nodes });
    return ((cpuMs(daemon.child.pid) - cpu) / LOOKUPS) * 1000;
  };
  const rounds = AT_ONCE.map((atOnce) => ({ atOnce, dns: [] as number[], registered: [] as number[] }));
  // The first round of each warms up.
  for (let index = 0; index <= ROUNDS; index++) {
    for (const { atOnce, dns, registered } of rounds) {
      dns.push(await once(atOnce, NODES));
      registered.push(await once(atOnce, 0));
    }
  }
  report(
    `Look-ups of ${NODES} nodes that DNS has: median of ${ROUNDS} rounds of ${LOOKUPS}, by ${load.title}`,
    rounds.map(({ atOnce, dns, registered }) => ({
      what: `CPU time, ${atOnce} at once`,
      unit: "µs",
      ours: median(dns.slice(1)),
      peer: median(registered.slice(1)),
      peerName: "registered node",
    })),
  );
  await node.close();
  await Promise.all([daemon.stop(), server.close()]);
}
