import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { bundle, COMMAND } from "./bundler.js";
import { manual, noticesFor } from "./documents.js";
import { BUILT_FROM, DEPENDENCIES, ROOT, sourcesDigest } from "./settings.js";

/** Builds dist/: the command, bundled so that a daemon starts quickly and stays small, and the library with its types. */
const dist = `${ROOT}dist`;

rmSync(BUILT_FROM, { force: true });
// Taken first, because a file may change during the build.
const digest = sourcesDigest();

const loader = readFileSync(new URL("chunk-loader.cjs", import.meta.url), "utf8");
const [command] = await Promise.all([
  bundle(
    { input: { "srv-epmd": "src/main.ts" }, preserveEntrySignatures: false },
    {
      ...COMMAND,
      dir: dist,
      entryFileNames: "[name].cjs",
      // What a command loads when it needs it stays in files of its own: merely parsing all of it costs 6 MiB.
      chunkFileNames: "chunks/[name]-[hash].cjs",
      banner: ({ isEntry }) => (isEntry ? loader : ""),
    },
  ),
  // A library shares its users' copies of the run-time packages.
  bundle({ input: "src/index.ts", external: [...DEPENDENCIES] }, { format: "esm", dir: dist, codeSplitting: false }),
]);
// Names of chunks change with their contents: those of earlier builds go.
for (const chunk of readdirSync(`${dist}/chunks`)) {
  if (!command.files.includes(`chunks/${chunk}`)) rmSync(`${dist}/chunks/${chunk}`);
}
writeFileSync(`${dist}/srv-epmd.1`, manual());
writeFileSync(`${dist}/NOTICES.txt`, noticesFor(command.modules));
// npm makes the file of `bin` executable when it installs the package, and not in the tree itself.
chmodSync(`${dist}/srv-epmd.cjs`, 0o755);
execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", `${ROOT}src/build`], {
  stdio: "inherit",
});
writeFileSync(BUILT_FROM, `${digest}\n`);
