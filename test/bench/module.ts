import { fileURLToPath } from "node:url";
import { run } from "../support/child.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { a, type SeenQuery, srv, startFakeDns } from "../support/fake-dns-server.js";
import { moduleFolder } from "../support/module-folder.js";
import { startDaemon } from "../support/srv-epmd.js";
import { median, report } from "./measure.js";

const ROUNDS = 5;
const NAMES = 40;
const AT_ONCE = 1000;
/** What a name server a few racks away takes, milliseconds. */
const ROUND_TRIP = 5;
/** Nothing listens there: a connection set-up ends with the look-up. */
const PLACE = { address: "127.0.0.1", port: 1 };
const A_THEN_SRV = fileURLToPath(new URL("a_then_srv.erl", import.meta.url));

function answer({ qname, qtype }: SeenQuery) {
  const address = { delay: ROUND_TRIP, answers: [a(qname, PLACE.address)] };
  if (qtype === "A") return address;
  const target = `target.${qname}`;
  return { delay: ROUND_TRIP, answers: [srv(qname, target, PLACE.port)], additionals: [a(target, PLACE.address)] };
}

/** Each expression gives a number. */
const MEASURES = {
  // Milliseconds for each of some names that nobody asked for before.
  cold: (way: string, prefix: string) =>
    `element(1, timer:tc(fun() -> [{ok, _, _, _} = ${way}:address_please(Name, "cold.test", inet) || Name <- Names("${prefix}", ${NAMES})] end)) / ${NAMES} / 1000`,
  // The same for a whole connection set-up: the VM calls address_please/3 once or twice for it.
  setUp: (_: string, prefix: string) =>
    `element(1, timer:tc(fun() -> [false = net_kernel:connect_node(list_to_atom(Name ++ "@cold.test")) || Name <- Names("${prefix}", ${NAMES})] end)) / ${NAMES} / 1000`,
  // Look-ups a second, each from a process of its own.
  lookUps: (way: string, prefix: string) =>
    `AtOnce(fun(Name) -> {ok, _, _, _} = ${way}:address_please(Name, "cold.test", inet) end, Names("${prefix}", ${AT_ONCE}))`,
  // Connection set-ups a second: they pass through the VM's one net_kernel.
  setUps: (_: string, prefix: string) =>
    `AtOnce(fun(Name) -> false = net_kernel:connect_node(list_to_atom(Name ++ "@cold.test")) end, Names("${prefix}", ${AT_ONCE}))`,
} as const;

const FUNCTIONS = `
  Names = fun(Prefix, Count) -> [Prefix ++ integer_to_list(I) || I <- lists:seq(1, Count)] end,
  AtOnce = fun(Do, List) ->
    Self = self(),
    Run = fun() -> [spawn_link(fun() -> Do(Name), Self ! done end) || Name <- List], [receive done -> ok end || _ <- List] end,
    length(List) / (element(1, timer:tc(Run)) / 1000000)
  end,`;

/** Look-ups inside a VM: through the module, and in the way of discovery modules that ask DNS themselves. */
export async function benchModule(): Promise<void> {
  const server = await startFakeDns(answer);
  const daemon = await startDaemon({ args: ["--dns", `${server.address}:${server.port}`] });
  const folder = await moduleFolder();
  const compiled = await run("erlc", ["-o", folder, A_THEN_SRV]);
  if (compiled.code !== 0) throw new Error(compiled.stdout);
  const start = (way: string) =>
    startNode({
      name: `${way}@bench.test`,
      epmdPort: daemon.port,
      args: ["-pa", folder, "-epmd_module", way],
      env: { BENCH_DNS_PORT: String(server.port) },
    });
  const vms = { srv_epmd: await start("srv_epmd"), a_then_srv: await start("a_then_srv") };
  const figures = new Map<string, number[]>();
  const measure = async (key: keyof typeof MEASURES, way: string, vm: ErlangNode, round: number) => {
    const expression = MEASURES[key](way, `${key}${round}${way.length}x`);
    const value = Number(await vm.eval(`${FUNCTIONS} ${expression}`, 60_000));
    figures.set(`${key} ${way}`, [...(figures.get(`${key} ${way}`) ?? []), value]);
  };
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const key of ["cold", "setUp", "lookUps", "setUps"] as const) {
      for (const [way, vm] of Object.entries(vms)) await measure(key, way, vm, round);
    }
  }
  const of = (key: string, way: string) => median((figures.get(`${key} ${way}`) ?? []).slice(1));
  const row = (what: string, unit: string, key: keyof typeof MEASURES) => {
    return { what, unit, ours: of(key, "srv_epmd"), peer: of(key, "a_then_srv"), peerName: "A then SRV" };
  };
  report(`Inside a VM, name server ${ROUND_TRIP} ms away: median of ${ROUNDS} rounds`, [
    row("address_please/3, cold name", "ms", "cold"),
    row("connection set-up, cold name", "ms", "setUp"),
    row(`${AT_ONCE} look-ups at once`, "/s", "lookUps"),
    row(`${AT_ONCE} set-ups at once`, "/s", "setUps"),
  ]);
  await Promise.all(Object.values(vms).map((vm) => vm.kill()));
  await Promise.all([daemon.stop(), server.close()]);
}
