import { type Child, type Place, type RunResult, run, startChild } from "./child.js";
import { cleanEnvironment } from "./environment.js";
import { waitFor } from "./wait-for.js";

interface EpmdOptions {
  readonly args?: readonly string[];
  readonly netns?: Place;
}

/** Stock `epmd` in the foreground; it listens when this returns. */
export async function startStockEpmd(port: number, { args = [], netns }: EpmdOptions = {}): Promise<Child> {
  const where = netns && { netns };
  const child = startChild("epmd", ["-port", String(port), ...args], { env: cleanEnvironment(), ...where });
  await waitFor(async () => (await epmdNames(port, netns)).code === 0, { what: `stock epmd on port ${port}` });
  if (child.hasExited()) throw new Error(`something else listens on port ${port}: stock epmd has ended`);
  return child;
}

/** What stock `epmd -names` prints of the EPMD on that port of the loopback interface. */
export function epmdNames(port: number, netns?: Place): Promise<RunResult> {
  return runEpmd(port, ["-names"], netns);
}

/** Stock `epmd` as a client: `-names`, `-dump`, `-kill`, `-stop NAME`, `-started`. */
export function runEpmd(port: number, args: readonly string[], netns?: Place): Promise<RunResult> {
  return run("epmd", ["-port", String(port), ...args], { env: cleanEnvironment(), ...(netns && { netns }) });
}
