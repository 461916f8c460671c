import { appendFileSync } from "node:fs";
import { build } from "esbuild";
import { noticesFor } from "./notices.js";
import { COMMON, MINIFY } from "./settings.js";

/**
 * Writes the command as one file that `node` runs, with nothing beside it. CommonJS, because Node 20 takes nothing else
 * into an executable, and because of one file it starts sooner and smaller than an ES module. The licences of what is
 * in it stand at its end, so that every copy has them.
 * @returns those licences
 */
export async function bundleInto(file: string): Promise<string> {
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
