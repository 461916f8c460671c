import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { bundleCommand } from "./bundler.js";
import { manual, noticesFor } from "./documents.js";
import { ROOT, VERSION } from "./settings.js";

/** Mark in a Node.js binary that may carry a program (Node.js: single executable applications). */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** `npm run package`: srv-epmd for machines without npm, as a file for `node` and as an executable, with their sums. */
const { values: flags } = parseArgs({
  options: {
    // The node that goes into the executable: one that runs on this machine.
    node: { type: "string", default: process.execPath },
    out: { type: "string", default: `${ROOT}dist/package` },
    "only-bundle": { type: "boolean", default: false },
  },
});
const folder = resolve(flags.out);
mkdirSync(folder, { recursive: true });

const script = join(folder, `srv-epmd-${VERSION}.cjs`);
const notices = join(folder, `srv-epmd-${VERSION}-notices.txt`);
const { program, chunks, modules } = await bundleCommand();
const licences = noticesFor(modules);
// At its end, so that every copy has the licences of what is in it.
writeFileSync(script, program(chunks) + licences.replaceAll(/^/gm, "// ").replaceAll(/ +$/gm, ""));
chmodSync(script, 0o755);
writeFileSync(notices, licences);
const page = join(folder, "srv-epmd.1");
writeFileSync(page, manual());
const files = [script, notices, page];
if (!flags["only-bundle"]) {
  const node = resolve(flags.node);
  const file = join(folder, `srv-epmd-${VERSION}-${platformOf(node)}`);
  makeExecutable({ node, program: program({}), chunks, file });
  appendFileSync(notices, nodeNotice(node));
  files.push(file);
}

const sums = files.map(
  (file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`,
);
writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
for (const file of files) process.stdout.write(`${(statSync(file).size / 1e6).toFixed(1).padStart(6)} MB  ${file}\n`);

/** System and processor that a Node.js was made for: `linux-x64`. @throws when it does not run here, or not on Linux */
function platformOf(node: string): string {
  const platform = output(node, "--print", "process.platform + '-' + process.arch");
  // On other systems the result has to be signed, or has another format.
  if (!platform.startsWith("linux-")) throw new Error(`no executable for ${platform}: give --only-bundle`);
  return platform;
}

/** Notice for the executable, which is a copy of that Node.js. */
function nodeNotice(node: string): string {
  const version = output(node, "--version");
  const licences = `https://github.com/nodejs/node/blob/${version}/LICENSE`;
  return `\n${"-".repeat(80)}\n\nThe executable is Node.js ${version} with the above in it. Its licences:\n${licences}\n`;
}

/** Writes a copy of that node which carries the program, and its chunks as assets. */
function makeExecutable({
  node,
  program,
  chunks,
  file,
}: {
  node: string;
  program: string;
  chunks: Readonly<Record<string, string>>;
  file: string;
}): void {
  const folder = mkdtempSync(join(tmpdir(), "srv-epmd-package-"));
  // The file of an earlier build may be running: it is replaced, not written to.
  const copy = `${file}.part`;
  try {
    const [config, blob, main] = [join(folder, "sea.json"), join(folder, "blob"), join(folder, "main.cjs")];
    writeFileSync(main, program);
    for (const [name, code] of Object.entries(chunks)) writeFileSync(join(folder, name), code);
    const assets = Object.fromEntries(Object.keys(chunks).map((name) => [name, join(folder, name)]));
    const sea = { main, output: blob, assets, disableExperimentalSEAWarning: true };
    writeFileSync(config, JSON.stringify(sea));
    // Made by the Node.js that will read it: each version has its own format of the blob.
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
