import { readdirSync, readFileSync } from "node:fs";
import { waitFor } from "./wait-for.js";

const homes = new Set<string>();

process.on("exit", () => {
  for (const home of homes) signalProcesses(home, "SIGKILL");
});

/**
 * Processes of this home folder: a program that was started with it and all that this started in turn, port programs and
 * daemons in sessions of their own too, for they inherit its HOME.
 */
export function processesOf(home: string): number[] {
  const own = `HOME=${home}`;
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid !== process.pid && read(pid, "environ").split("\0").includes(own));
}

/** @param command only those that run this program, such as `beam.smp` */
export function signalProcesses(home: string, signal: NodeJS.Signals, command?: string): void {
  for (const pid of processesOf(home)) {
    if (command !== undefined && read(pid, "comm").trim() !== command) continue;
    try {
      process.kill(pid, signal);
    } catch {
      // It has gone in the meantime.
    }
  }
}

/** From now on nothing of this home outlives the test process, however it ends. */
export function watchHome(home: string): void {
  homes.add(home);
}

/** Kills what is left of this home; none is there when this returns. */
export async function endProcessesOf(home: string): Promise<void> {
  const gone = () => {
    signalProcesses(home, "SIGKILL");
    return processesOf(home).length === 0;
  };
  await waitFor(gone, { what: `the processes of ${home} to end` });
  homes.delete(home);
}

/** Empty for a process that has gone, that is a zombie, or that is another user's. */
function read(pid: number, file: "environ" | "comm"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
