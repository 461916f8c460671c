import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { rawNode } from "../support/raw-epmd.js";
import { startDaemon } from "../support/srv-epmd.js";
import { startAskingServer } from "./bare-server.js";
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

/** CPU time of look-ups that DNS answers, each with a query of its own, beside a bare server that asks it and a registered node's. */
export async function benchDnsLookups(): Promise<void> {
  const load = await prepareLoad();
  const dns = await startFakeDns(answer);
  const daemon = await startDaemon({
    args: ["--dns", `${dns.address}:${dns.port}`, "--prefer-reachable", "false"],
  });
  const bare = await startAskingServer(dns.port);
  const node = await rawNode(daemon.port, { name: "bench" });
  const once = async (server: { readonly port: number; readonly pid: number }, atOnce: number, nodes: number) => {
    const cpu = cpuMs(server.pid);
    await load.lookUp(server.port, LOOKUPS, atOnce, { nodes });
    return ((cpuMs(server.pid) - cpu) / LOOKUPS) * 1000;
  };
  const ours = { port: daemon.port, pid: daemon.child.pid };
  const rounds = AT_ONCE.map((atOnce) => ({
    atOnce,
    dns: [] as number[],
    bare: [] as number[],
    registered: [] as number[],
  }));
  // The first round of each warms up.
  for (let index = 0; index <= ROUNDS; index++) {
    for (const { atOnce, dns, bare: asking, registered } of rounds) {
      dns.push(await once(ours, atOnce, NODES));
      asking.push(await once(bare, atOnce, 0));
      registered.push(await once(ours, atOnce, 0));
    }
  }
  const of = (figures: readonly number[]) => median(figures.slice(1));
  report(
    `Look-ups of ${NODES} nodes that DNS has: median of ${ROUNDS} rounds of ${LOOKUPS}, by ${load.title}`,
    rounds.flatMap(({ atOnce, dns, bare: asking, registered }) => {
      const row = { what: `CPU time, ${atOnce} at once`, unit: "µs", ours: of(dns) };
      return [
        { ...row, peer: of(asking), peerName: "bare server that asks DNS" },
        { ...row, peer: of(registered), peerName: "registered node" },
      ];
    }),
  );
  await node.close();
  await Promise.all([daemon.stop(), bare.stop(), dns.close()]);
}
