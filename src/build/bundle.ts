import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { manual, noticesFor } from "./documents.js";
import { BUILT_FROM, COMMON, MINIFY, ROOT, sourcesDigest } from "./settings.js";

/** Builds dist/: the command, bundled so that a daemon starts quickly and stays small, and the library with its types. */
const common = { ...COMMON, format: "esm", outdir: "dist" } as const;

rmSync(BUILT_FROM, { force: true });
// Taken first, because a file may change during the build.
const digest = sourcesDigest();

// Packages in CommonJS call require() for Node's own modules, which ESM output lacks.
const require =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

const [command] = await Promise.all([
  build({
    ...common,
    entryPoints: { "srv-epmd": "src/main.ts" },
    // What a command loads when it needs it stays in files of its own: merely parsing all of it costs 6 MiB.
    splitting: true,
    metafile: true,
    chunkNames: "chunks/[name]-[hash]",
    ...MINIFY,
    banner: { js: require },
  }),
  build({
    ...common,
    entryPoints: { index: "src/index.ts" },
    // A library shares its users' copies of the run-time packages.
    packages: "external",
  }),
]);
// Names of chunks change with their contents: those of earlier builds go.
for (const chunk of readdirSync(`${ROOT}dist/chunks`)) {
  if (command.metafile.outputs[`dist/chunks/${chunk}`] === undefined) rmSync(`${ROOT}dist/chunks/${chunk}`);
}
writeFileSync(`${ROOT}dist/srv-epmd.1`, manual());
writeFileSync(`${ROOT}dist/NOTICES.txt`, noticesFor(command.metafile));
// npm makes the file of `bin` executable when it installs the package, and not in the tree itself.
chmodSync(`${ROOT}dist/srv-epmd.js`, 0o755);
execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", `${ROOT}src/build`], {
  stdio: "inherit",
});
writeFileSync(BUILT_FROM, `${digest}\n`);
