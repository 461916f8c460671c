import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { BUILT_FROM, ROOT, sourcesDigest } from "../../src/build/settings.js";

/** Tests of the built program need it built from what is in `src` now. */
export default function setup(): void {
  if (isUpToDate()) return;
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "build"], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm run build failed:\n${stdout}\n${stderr}`);
}

export function isUpToDate(): boolean {
  return existsSync(BUILT_FROM) && readFileSync(BUILT_FROM, "utf8").trim() === sourcesDigest();
}
