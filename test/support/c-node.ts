import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./child.js";
import { findProgram } from "./environment.js";

/** `c-node NAME COOKIE NODE` and `c-node NAME COOKIE --publish PORT`: the file tells what they do. */
export const C_NODE = fileURLToPath(new URL("c-node.c", import.meta.url));

/** Where Erlang's library for C nodes, `ei`, is: the folder with `include` and `lib`. */
export function findEi(): string | undefined {
  const erl = findProgram("erl");
  if (erl === undefined || findProgram("gcc") === undefined) return undefined;
  const libraries = join(dirname(realpathSync(erl)), "..", "lib");
  const versions = existsSync(libraries) ? readdirSync(libraries) : [];
  return versions
    .filter((version) => version.startsWith("erl_interface-"))
    .map((version) => join(libraries, version))
    .find((folder) => existsSync(join(folder, "include", "ei.h")) && existsSync(join(folder, "lib", "libei.a")));
}

/** Compiles a C program with `ei`. @returns its path, `out` @throws with what the compiler says */
export async function buildCNode(source: string, out: string): Promise<string> {
  const ei = findEi();
  if (ei === undefined) throw new Error("gcc or the library ei is missing: bash test/install-peers.sh");
  const flags = ["-Wall", "-Werror", `-I${ei}/include`, "-o", out, source, `-L${ei}/lib`, "-lei", "-pthread"];
  const compiled = await run("gcc", flags);
  if (compiled.code !== 0) throw new Error(`gcc ${source}: ${compiled.stderr}`);
  return out;
}
