import { readFileSync } from "node:fs";
import { type InputOptions, type OutputOptions, type Plugin, rolldown } from "rolldown";
import { DEPENDENCIES, ROOT, VERSION } from "./settings.js";

/** The command in CommonJS, which starts sooner and in less memory than ES modules. */
interface CommandBundle {
  /**
   * The program's first file, to be executable.
   * @param chunks those that are written into it: it reads others from the folder `chunks` beside it, or from an executable's assets
   */
  readonly program: (chunks: Readonly<Record<string, string>>) => string;
  /** What a command loads when it needs it, by the names of the files: merely to parse all of it costs 6 MiB. */
  readonly chunks: Readonly<Record<string, string>>;
  /** Files of the modules that are in it. */
  readonly modules: readonly string[];
}

export async function bundleCommand(): Promise<CommandBundle> {
  const parts = await bundle(
    { input: { "srv-epmd": "src/main.ts" }, preserveEntrySignatures: false, plugins: [asText, withoutUnused] },
    {
      format: "cjs",
      strict: true,
      // There is no import() in an executable, nor in what the loader of chunks compiles.
      dynamicImportInCjs: false,
      // Names are kept, so that a stack trace in a log can be read.
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: true, asciiOnly: true } },
      comments: false,
      entryFileNames: "[name].cjs",
      chunkFileNames: "chunks/[name]-[hash].cjs",
    },
  );
  const main = parts.find(({ isEntry }) => isEntry)?.code ?? "";
  const others = parts.filter(({ isEntry }) => !isEntry);
  const [hashbang = ""] = /^#!.*\n/.exec(main) ?? [];
  const loader = readFileSync(new URL("chunk-loader.cjs", import.meta.url), "utf8");
  return {
    program: (chunks) =>
      `${hashbang}"use strict";const CHUNKS=${JSON.stringify(chunks)};\n${loader}${main.slice(hashbang.length)}`,
    chunks: Object.fromEntries(others.map(({ fileName, code }) => [fileName.replace("chunks/", ""), code])),
    modules: parts.flatMap(({ moduleIds }) => moduleIds),
  };
}

/** The library as one ES module. It shares its users' copies of the run-time packages. */
export async function bundleLibrary(): Promise<string> {
  const input = { input: "src/index.ts", external: [...DEPENDENCIES] };
  const [library] = await bundle(input, { format: "esm", codeSplitting: false });
  return library?.code ?? "";
}

/** Files that modules import as text. */
const asText: Plugin = {
  name: "as-text",
  load: {
    filter: { id: /\.(erl|md|css|client\.js)$/ },
    handler: (file) => ({ code: `export default ${JSON.stringify(readFileSync(file, "utf8"))};`, moduleType: "js" }),
  },
};

/**
 * Packages that pino and prom-client load and the command never uses: pino's own destinations (the command writes its lines
 * itself), and OpenTelemetry, which prom-client has for exemplars. They would be half a MiB of a daemon's memory.
 */
const UNUSED = /^(sonic-boom|thread-stream|@opentelemetry\/api)$/;

/** In place of each stands a class, for pino asks whether what it was given is an instance of one. */
const withoutUnused: Plugin = {
  name: "without-unused",
  resolveId: { filter: { id: UNUSED }, handler: (id) => `\0unused:${id}` },
  load: {
    filter: { id: /^\0unused:/ },
    handler: (id) => {
      const name = id.slice(id.indexOf(":") + 1);
      const code = `module.exports = class { constructor() { throw new Error("${name} is not in this program"); } };`;
      return { code, moduleType: "js" };
    },
  },
};

async function bundle(input: InputOptions, output: OutputOptions) {
  const made = await rolldown({
    cwd: ROOT,
    platform: "node",
    transform: { target: "node20.19", define: { SRV_EPMD_VERSION: JSON.stringify(VERSION) } },
    plugins: [asText],
    // What several commands import at their start is nevertheless imported late by others.
    checks: { ineffectiveDynamicImport: false },
    ...input,
  });
  const { output: parts } = await made.generate(output);
  await made.close();
  return parts.filter((part) => part.type === "chunk");
}
