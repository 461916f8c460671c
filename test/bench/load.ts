import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../support/child.js";
import { findProgram } from "../support/environment.js";
import { temporaryFolder } from "../support/temporary.js";

/** Look-ups, one connection each. */
export interface Load {
  /** For the report. */
  readonly title: string;
  /**
   * Looks `bench` up so many times, with so many connections at once.
   * @param nodes n0@bench.test, n1@bench.test, ... in place of `bench`: so many
   * @returns milliseconds @throws when one is not answered with a port
   */
  readonly lookUp: (port: number, count: number, atOnce: number, nodes?: number) => Promise<number>;
}

const source = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Clients written in Node that run at once: one alone is slower than any of the servers. */
const PROCESSES = 3;

/** A load that costs less than the servers that it is for. */
export async function prepareLoad(): Promise<Load> {
  const gcc = findProgram("gcc");
  if (gcc === undefined) {
    const lookUp: Load["lookUp"] = async (port, count, atOnce, nodes = 0) => {
      const share = (all: number) => String(Math.ceil(all / PROCESSES));
      const args = [source("look-up-load.mjs"), String(port), share(count), share(atOnce), String(nodes)];
      return Math.max(...(await Promise.all(Array.from({ length: PROCESSES }, () => timed(process.execPath, args)))));
    };
    return { title: `${PROCESSES} processes of Node, since there is no gcc`, lookUp };
  }
  const program = join(await temporaryFolder("bench"), "look-up-load");
  const { code, stderr } = await run(gcc, ["-O2", "-o", program, source("look-up-load.c")], { timeout: 60_000 });
  if (code !== 0) throw new Error(stderr);
  return {
    title: "a program in C",
    lookUp: (port, count, atOnce, nodes = 0) => timed(program, [port, count, atOnce, nodes].map(String)),
  };
}

async function timed(command: string, args: readonly string[]): Promise<number> {
  const { code, stdout, stderr } = await run(command, args, { timeout: 120_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return Number(stdout);
}
