import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A VM of the lab that is a node, found by its process: an independent witness of who lives. */
export interface Vm {
  /** Full name of the node. */
  readonly node: string;
  /** `address:port` at which the peers dial it, the host's. */
  readonly address: string;
  readonly pid: number;
}

/** @returns a function that lists the VMs that run now in tasks of the lab */
export function watchVms(labFolder: string): () => Vm[] {
  const known = new Map<number, Vm | "none">();
  return () => {
    const running = new Set<number>();
    for (const entry of readdirSync("/proc")) {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || !isRunningVm(pid)) continue;
      running.add(pid);
      if (!known.has(pid)) known.set(pid, describe(pid, labFolder) ?? "none");
    }
    for (const pid of known.keys()) if (!running.has(pid)) known.delete(pid);
    return Array.from(known.values()).filter((vm) => vm !== "none");
  };
}

function isRunningVm(pid: number): boolean {
  // pid (name) state ...: one that has ended and is not taken notice of is a zombie, Z.
  const [, name, state] = /^[0-9]+ \((.*)\) (.) /s.exec(read(pid, "stat")) ?? [];
  return name === "beam.smp" && state !== "Z" && state !== "X";
}

/** By its environment. Commands that speak to a node are VMs too, and no members of the cluster. */
function describe(pid: number, labFolder: string): Vm | undefined {
  const env = new Map(
    read(pid, "environ")
      .split("\0")
      .map((line) => [line.replace(/=.*/s, ""), line.replace(/^[^=]*=/, "")]),
  );
  const allocation = env.get("NOMAD_ALLOC_ID");
  const node = env.get("RELEASE_NODE") ?? env.get("RABBITMQ_NODENAME");
  const address = env.get("NOMAD_HOST_ADDR_dist");
  if (allocation === undefined || node === undefined || address === undefined) return undefined;
  const isCommand = (env.get("RELEASE_COMMAND") ?? "start") !== "start" || /rabbitmqctl/.test(read(pid, "cmdline"));
  // Another lab may run on this machine.
  const isOurs = readdirSync(labFolder).some((number) => existsSync(join(labFolder, number, "a", allocation)));
  return isOurs && !isCommand ? { node, address, pid } : undefined;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // It has gone.
    return "";
  }
}
