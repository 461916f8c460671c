import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startStockEpmd } from "./epmd.js";
import { DEFAULT_COOKIE, type ErlangNode, type NodeOptions, startElixirNode, startNode } from "./erlang.js";
import { freePort } from "./free-port.js";
import { temporaryFolder } from "./temporary.js";

export interface LinkedNode {
  readonly name: string;
  readonly port: number;
  readonly vm: ErlangNode;
}

export interface LinkedNodes {
  readonly epmdPort: number;
  /** File with the cookie of the VMs. */
  readonly cookieFile: string;
  /** A VM `<alive name>@127.0.0.1` at a port of its own. */
  readonly start: (
    aliveName: string,
    options?: Partial<NodeOptions> & { readonly elixir?: boolean },
  ) => Promise<LinkedNode>;
  /** `--node` options that find these nodes. */
  readonly entries: (...nodes: readonly LinkedNode[]) => string[];
  readonly killAll: () => Promise<void>;
}

/** A file with a cookie that nobody else may read. */
export async function writeCookie(cookie = DEFAULT_COOKIE): Promise<string> {
  const path = join(await temporaryFolder("cookie"), "cookie");
  await writeFile(path, `${cookie}\n`, { mode: 0o600 });
  return path;
}

/** VMs of one machine, which find each other by a stock EPMD. */
export async function startLinkedNodes(): Promise<LinkedNodes> {
  const epmdPort = await freePort();
  await startStockEpmd(epmdPort);
  const running: ErlangNode[] = [];
  return {
    epmdPort,
    cookieFile: await writeCookie(),
    start: async (aliveName, { elixir = false, args = [], ...options } = {}) => {
      const port = await freePort();
      const name = `${aliveName}@127.0.0.1`;
      const listen = ["-kernel", "inet_dist_listen_min", String(port), "inet_dist_listen_max", String(port)];
      const how = { name, epmdPort, ...options, args: [...listen, ...args] };
      const vm = await (elixir ? startElixirNode(how) : startNode(how));
      running.push(vm);
      return { name, port, vm };
    },
    entries: (...nodes) => nodes.flatMap(({ name, port }) => ["--node", `${name}=127.0.0.1:${port}`]),
    killAll: async () => {
      await Promise.all(running.splice(0).map((vm) => vm.kill()));
    },
  };
}

/** Erlang: puts a copy of all that is logged, and of all news of nodes, into the table `seen`, `{Number, News}`. */
export const WATCH = `
  Self = self(),
  Keep = spawn(fun() ->
    ets:new(seen, [named_table]),
    net_kernel:monitor_nodes(true, [{node_type, all}]),
    Self ! ready,
    (fun Loop() -> receive News -> ets:insert(seen, {erlang:unique_integer([monotonic]), News}), Loop() end end)()
  end),
  receive ready -> ok end,
  logger:set_primary_config(level, all),
  ok = logger:add_primary_filter(seen, {fun(Event, _) -> Keep ! {log, maps:get(msg, Event)}, ignore end, none}),
  ok`;
