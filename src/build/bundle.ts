import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { bundleCommand, bundleLibrary } from "./bundler.js";
import { manual, noticesFor } from "./documents.js";
import { BUILT_FROM, ROOT, sourcesDigest } from "./settings.js";

/** Builds dist/: the command, bundled so that a daemon starts quickly and stays small, and the library with its types. */
const dist = `${ROOT}dist`;
const chunks = `${dist}/chunks`;

rmSync(BUILT_FROM, { force: true });
// Taken first, because a file may change during the build.
const digest = sourcesDigest();

const [command, library] = await Promise.all([bundleCommand(), bundleLibrary()]);
mkdirSync(chunks, { recursive: true });
for (const [name, code] of Object.entries(command.chunks)) writeFileSync(`${chunks}/${name}`, code);
writeFileSync(`${dist}/srv-epmd.cjs`, command.program({}));
// npm makes the file of `bin` executable when it installs the package, and not in the tree itself.
chmodSync(`${dist}/srv-epmd.cjs`, 0o755);
// Names of chunks change with their contents: those of earlier builds go.
for (const name of readdirSync(chunks)) if (command.chunks[name] === undefined) rmSync(`${chunks}/${name}`);
writeFileSync(`${dist}/index.js`, library);
writeFileSync(`${dist}/srv-epmd.1`, manual());
writeFileSync(`${dist}/NOTICES.txt`, noticesFor(command.modules));
execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", `${ROOT}src/build`], {
  stdio: "inherit",
});
writeFileSync(BUILT_FROM, `${digest}\n`);
