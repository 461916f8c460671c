import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const loader = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

/** Starts `srv-epmd` from its source, from any folder. */
export const PROGRAM = [
  process.execPath,
  "--import",
  loader,
  fileURLToPath(new URL("../../src/main.ts", import.meta.url)),
] as const;
