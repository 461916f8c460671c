import { readFileSync } from "node:fs";
import { type InputOptions, type OutputOptions, type Plugin, rolldown } from "rolldown";
import { ROOT, VERSION } from "./settings.js";

/** Files that modules import as text. */
const asText: Plugin = {
  name: "as-text",
  load: {
    filter: { id: /\.(erl|md|css|client\.js)$/ },
    handler: (file) => ({ code: `export default ${JSON.stringify(readFileSync(file, "utf8"))};`, moduleType: "js" }),
  },
};

/** For commands, which run from CommonJS: it starts sooner and in less memory than ES modules. */
export const COMMAND = {
  format: "cjs",
  strict: true,
  // There is no import() in an executable, nor in a chunk that our loader compiles.
  dynamicImportInCjs: false,
  // Names are kept, so that a stack trace in a log can be read.
  minify: { compress: true, mangle: false, codegen: { removeWhitespace: true, asciiOnly: true } },
  comments: false,
} satisfies OutputOptions;

export interface Bundle {
  /** Names of the files that were written, from their folder. */
  readonly files: readonly string[];
  /** Files of the modules that they hold. */
  readonly modules: readonly string[];
}

/** Bundles and writes what is imported from `input`. */
export async function bundle(input: InputOptions, output: OutputOptions): Promise<Bundle> {
  const made = await rolldown({
    cwd: ROOT,
    platform: "node",
    transform: { target: "node20.19", define: { SRV_EPMD_VERSION: JSON.stringify(VERSION) } },
    plugins: [asText],
    // What several commands import at their start is nevertheless imported late by others.
    checks: { ineffectiveDynamicImport: false },
    ...input,
  });
  const { output: files } = await made.write(output);
  await made.close();
  const modules = files.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
  return { files: files.map(({ fileName }) => fileName), modules };
}
