import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Installs what the build needs, where it is missing. npm runs the script `prepare` in a fresh clone too, before it packs
 * the folder or links it with `npm install --global .`, and installs nothing for it then. In JavaScript, because
 * what runs TypeScript may be missing.
 */
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

if (!["tsx", "rolldown", "typescript"].every((name) => existsSync(`${ROOT}node_modules/${name}`))) {
  // The options of the npm that runs this script are in the environment of the one that it starts. Without --ignore-scripts
  // that one would run this script again.
  const ours = ["--global=false", "--location=project", "--dry-run=false", "--include=dev", "--ignore-scripts"];
  // What `npm pack` writes to stdout is the name of a file.
  execFileSync("npm", ["ci", ...ours, "--no-audit", "--no-fund"], { cwd: ROOT, stdio: ["ignore", 2, 2] });
}
