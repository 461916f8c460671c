import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./settings.js";

/** Mark in a Node.js binary that may carry a program (Node.js: single executable applications). */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** System and processor that a Node.js was made for: `linux-x64`. @throws when it does not run here, or not on Linux */
export function platformOf(node: string): string {
  const platform = output(node, "--print", "process.platform + '-' + process.arch");
  // On other systems the result has to be signed, or has another format.
  if (!platform.startsWith("linux-")) throw new Error(`no executable for ${platform}: give --only-bundle`);
  return platform;
}

/** Notice for the executable, which is a copy of that Node.js. */
export function nodeNotice(node: string): string {
  const version = output(node, "--version");
  const licences = `https://github.com/nodejs/node/blob/${version}/LICENSE`;
  return `\n${"-".repeat(80)}\n\nThe executable is Node.js ${version} with the above in it. Its licences:\n${licences}\n`;
}

/**
 * Writes a copy of that node which carries the script.
 * @param script CommonJS, without anything beside it
 */
export function makeExecutable({ node, script, file }: { node: string; script: string; file: string }): void {
  const folder = mkdtempSync(join(tmpdir(), "srv-epmd-package-"));
  // The file of an earlier build may be running: it is replaced, not written to.
  const copy = `${file}.part`;
  try {
    const [config, blob] = [join(folder, "sea.json"), join(folder, "blob")];
    // With the compiled code beside the source it starts in three quarters of the time.
    const sea = { main: script, output: blob, disableExperimentalSEAWarning: true, useCodeCache: true };
    writeFileSync(config, JSON.stringify(sea));
    // Made by the Node.js that will read it: each version has its own format of the blob and of compiled code.
    output(node, "--experimental-sea-config", config);
    copyFileSync(node, copy);
    chmodSync(copy, 0o755);
    const postject = join(ROOT, "node_modules/postject/dist/cli.js");
    output(process.execPath, postject, copy, "NODE_SEA_BLOB", blob, "--sentinel-fuse", FUSE);
    renameSync(copy, file);
  } finally {
    rmSync(copy, { force: true });
    rmSync(folder, { recursive: true });
  }
}

/** What a program prints; its complaints show only when it fails. */
function output(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}
