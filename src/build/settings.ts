import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BuildOptions } from "esbuild";

/** Folder of the project, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const { version: VERSION } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string };

/** What all bundles have in common. */
export const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: "node",
  target: "node20.19",
  legalComments: "none",
  loader: { ".erl": "text", ".md": "text", ".css": "text", ".client.js": "text" },
  define: { SRV_EPMD_VERSION: JSON.stringify(VERSION) },
  logLevel: "warning",
} satisfies BuildOptions;

/** For commands. Names are kept, so that a stack trace in a log can be read. */
export const MINIFY = { minifyWhitespace: true, minifySyntax: true } satisfies BuildOptions;
