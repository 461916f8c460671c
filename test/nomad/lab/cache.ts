import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Outside of the tree, so that it is built once for many runs. */
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "srv-epmd-nomad-tests");

/** Milliseconds after which a folder that no run has used is removed. */
const UNUSED = 7 * 86_400_000;

/** Another value when what is built from `sources` would differ. */
export function digestOf(...sources: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const source of sources) hash.update(`${source.length}:`).update(source);
  return hash.digest("hex").slice(0, 16);
}

/**
 * A folder that `build` has filled, now or in an earlier run.
 * @param digest of all that goes into it
 */
export async function cached(name: string, digest: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, `${name}-${digest}`);
  if (existsSync(folder)) {
    // Its time is that of its last use.
    await utimes(folder, new Date(), new Date());
    return folder;
  }
  await mkdir(CACHE, { recursive: true });
  await removeUnused();
  // Whole or not there: a build may fail or be ended half way.
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  try {
    await build(unfinished);
    // Unless another run was quicker.
    if (!existsSync(folder)) await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

async function removeUnused(): Promise<void> {
  for (const entry of await readdir(CACHE)) {
    const path = join(CACHE, entry);
    // Another run may have removed it.
    const used = await stat(path).catch(() => undefined);
    if (used && Date.now() - used.mtimeMs > UNUSED) await rm(path, { recursive: true, force: true });
  }
}
