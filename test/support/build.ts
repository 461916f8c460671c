import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BIN } from "./srv-epmd.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Tests of the built program need it built from what is in `src` now. */
export default function setup(): void {
  if (isUpToDate()) return;
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "build"], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm run build failed:\n${stdout}\n${stderr}`);
}

function isUpToDate(): boolean {
  const built = statSync(BIN, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).map((file) => `src/${file}`);
  return [...sources, "package.json", "package-lock.json"].every((file) => statSync(ROOT + file).mtimeMs < built);
}
