import { chmod, cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BIN } from "./srv-epmd.js";
import { lastingFolder } from "./temporary.js";

let copy: Promise<string> | undefined;

/** A copy of the built program that every user may run: the checkout may be where root alone can read, as below /root. */
export function programForAll(): Promise<string> {
  copy ??= makeCopy();
  return copy;
}

async function makeCopy(): Promise<string> {
  const folder = await lastingFolder("program");
  await chmod(folder, 0o755);
  for (const part of ["srv-epmd.cjs", "chunks"]) {
    await cp(join(dirname(BIN), part), join(folder, part), { recursive: true });
  }
  return join(folder, "srv-epmd.cjs");
}
