import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { manual } from "./man-page.js";
import { noticesFor } from "./notices.js";
import { makeExecutable, nodeNotice, platformOf } from "./package-executable.js";
import { COMMON, MINIFY, ROOT, VERSION } from "./settings.js";

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
writeFileSync(notices, await bundleInto(script));
const page = join(folder, "srv-epmd.1");
writeFileSync(page, manual());
const files = [script, notices, page];
if (!flags["only-bundle"]) {
  const node = resolve(flags.node);
  const file = join(folder, `srv-epmd-${VERSION}-${platformOf(node)}`);
  makeExecutable({ node, script, file });
  appendFileSync(notices, nodeNotice(node));
  files.push(file);
}

const sums = files.map(
  (file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`,
);
writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
for (const file of files) process.stdout.write(`${(statSync(file).size / 1e6).toFixed(1).padStart(6)} MB  ${file}\n`);

/**
 * Writes the command as one file that `node` runs, with nothing beside it. CommonJS, because Node 20 takes nothing else
 * into an executable, and because it starts faster and in less memory than an ES module. The licences of what is
 * in it stand at its end, so that every copy has them.
 * @returns those licences
 */
async function bundleInto(file: string): Promise<string> {
  const { metafile } = await build({
    ...COMMON,
    ...MINIFY,
    entryPoints: ["src/main.ts"],
    outfile: file,
    format: "cjs",
    metafile: true,
    define: { ...COMMON.define, "import.meta.url": "__url" },
    // An executable has no import(), not even of node's own modules.
    supported: { "dynamic-import": false },
    banner: { js: "const __url=require('node:url').pathToFileURL(__filename).href;" },
  });
  const notices = noticesFor(metafile);
  appendFileSync(file, notices.replaceAll(/^/gm, "// ").replaceAll(/ +$/gm, ""));
  return notices;
}
