import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../support/child.js";
import { findProgram } from "../support/environment.js";
import { temporaryFolder } from "../support/temporary.js";
import { cpuMs } from "./measure.js";

/** What is looked up in place of `bench`. */
interface AskedNodes {
  /** n0, n1, ...: so many. */
  readonly nodes: number;
  /** Behind these: `@bench.test` when not given. */
  readonly host?: string;
}

/** Look-ups, one connection each. */
export interface Load {
  /** For the report. */
  readonly title: string;
  /**
   * Looks `bench` up so many times, with so many connections at once.
   * @param port several EPMDs are asked in turn, for the same node one after the other
   * @returns milliseconds @throws when a node is not found
   */
  readonly lookUp: (...load: LoadArguments) => Promise<number>;
  /** The same, but a node that is not found is looked up again until it is. */
  readonly find: (...load: LoadArguments) => Promise<Finding>;
}

type LoadArguments = readonly [port: number | readonly number[], count: number, atOnce: number, asked?: AskedNodes];

interface Finding {
  readonly ms: number;
  /** Look-ups that found no node. */
  readonly misses: number;
}

/** A process that is asked. */
export interface Server {
  readonly port: number;
  readonly pid: number;
}

export interface Speed {
  readonly perSecond: number;
  /** CPU time of the server for each look-up, microseconds. */
  readonly cpuUs: number;
}

/** As Load.lookUp, of one server. */
export async function speedOf(
  load: Load,
  { port, pid }: Server,
  ...[count, atOnce, asked]: [count: number, atOnce: number, asked?: AskedNodes]
): Promise<Speed> {
  const cpu = cpuMs(pid);
  const elapsed = await load.lookUp(port, count, atOnce, asked);
  return { perSecond: (count / elapsed) * 1000, cpuUs: ((cpuMs(pid) - cpu) / count) * 1000 };
}

const source = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Clients written in Node that run at once: one alone is slower than any of the servers. */
const PROCESSES = 3;

/** A load that costs less than the servers that it is for. */
export async function prepareLoad(): Promise<Load> {
  const gcc = findProgram("gcc");
  if (gcc === undefined) {
    return loadOf(`${PROCESSES} processes of Node, since there is no gcc`, async (port, count, atOnce, asked) => {
      const share = (all: number) => Math.ceil(all / PROCESSES);
      const args = [source("look-up-load.mjs"), ...argumentsOf(port, share(count), share(atOnce), asked)];
      const one = (_: unknown, index: number) => timed(process.execPath, [...args, String(index * share(count))]);
      const all = await Promise.all(Array.from({ length: PROCESSES }, one));
      return { ms: Math.max(...all.map(({ ms }) => ms)), misses: all.reduce((sum, { misses }) => sum + misses, 0) };
    });
  }
  const program = join(await temporaryFolder("bench"), "look-up-load");
  const { code, stderr } = await run(gcc, ["-O2", "-o", program, source("look-up-load.c")], { timeout: 60_000 });
  if (code !== 0) throw new Error(stderr);
  return loadOf("a program in C", (...load) => timed(program, argumentsOf(...load)));
}

function loadOf(title: string, find: Load["find"]): Load {
  return {
    title,
    find,
    lookUp: async (...load) => {
      const { ms, misses } = await find(...load);
      if (misses > 0) throw new Error(`${misses} look-ups found no node`);
      return ms;
    },
  };
}

function argumentsOf(...[port, count, atOnce, { nodes, host = "@bench.test" } = BENCH]: LoadArguments): string[] {
  return [...[[port].flat().join(","), count, atOnce, nodes].map(String), host];
}

const BENCH: AskedNodes = { nodes: 0 };

async function timed(command: string, args: readonly string[]): Promise<Finding> {
  const { code, stdout, stderr } = await run(command, args, { timeout: 300_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  const [ms = 0, misses = 0] = stdout.split(" ").map(Number);
  return { ms, misses };
}
