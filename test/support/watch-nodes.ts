/** A node of a test, or a server written in Erlang. */
interface Node {
  readonly eval: (expressions: string) => Promise<string>;
}

const WATCH = `
  Loop = fun Loop(Lost) -> receive {nodedown, Node} -> Loop([Node | Lost]); {lost, Pid} -> Pid ! {lost, Lost}, Loop(Lost); _ -> Loop(Lost) end end,
  register(watch, spawn(fun() -> ok = net_kernel:monitor_nodes(true), Loop([]) end)), ok`;
const LOST = "watch ! {lost, self()}, receive {lost, Lost} -> Lost end";

/** Lets nodes note every link that they lose. */
export async function watchLinks(...nodes: readonly Node[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.eval(WATCH)));
}

/** The nodes that each of them has lost since: `[]` for none. */
export function lostLinks(...nodes: readonly Node[]): Promise<string[]> {
  return Promise.all(nodes.map((node) => node.eval(LOST)));
}
