import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Outside of the tree, so that it is built once for many runs. */
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "srv-epmd-nomad-tests");

/** Another value when what is built from `sources` would differ. */
export function digestOf(...sources: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const source of sources) hash.update(`${source.length}:`).update(source);
  return hash.digest("hex").slice(0, 16);
}

/**
 * A folder that `build` has filled, now or in an earlier run.
 * @param digest of all that goes into it; folders of the same name with another digest are removed
 */
export async function cached(name: string, digest: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, `${name}-${digest}`);
  if (existsSync(folder)) return folder;
  await mkdir(CACHE, { recursive: true });
  const old = new RegExp(`^${name}-[0-9a-f]{16}$`);
  for (const entry of await readdir(CACHE)) {
    if (old.test(entry)) await rm(join(CACHE, entry), { recursive: true, force: true });
  }
  // Whole or not there: a build may fail or be ended half way.
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  try {
    await build(unfinished);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}
