import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";

/** Builds dist/: the command, bundled so that a daemon starts quickly and stays small, and the library with its types. */
const root = fileURLToPath(new URL("../../", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { version: string };

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  outdir: "dist",
  legalComments: "none",
  loader: { ".erl": "text" },
  define: { SRV_EPMD_VERSION: JSON.stringify(version) },
  logLevel: "warning",
};

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
    minifyWhitespace: true,
    minifySyntax: true,
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
for (const chunk of readdirSync(`${root}dist/chunks`)) {
  if (command.metafile.outputs[`dist/chunks/${chunk}`] === undefined) rmSync(`${root}dist/chunks/${chunk}`);
}
// npm makes the file of `bin` executable when it installs the package, and not in the tree itself.
chmodSync(`${root}dist/srv-epmd.js`, 0o755);
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${root}src/build`], {
  stdio: "inherit",
});
