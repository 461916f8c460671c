import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Folder of the project, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { version, dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
export const VERSION: string = version;
/** Names of the run-time packages. */
export const DEPENDENCIES: readonly string[] = Object.keys(dependencies);

/** Holds the digest of what `dist/` was built from; there is none while a build runs, or after one that failed. */
export const BUILT_FROM = `${ROOT}dist/.built-from`;

/** Digest of names and contents. Times are not used: a checkout or a copy may set an older one. */
export function sourcesDigest(root = ROOT): string {
  const sources = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" })
    .map((file) => `src/${file}`)
    .filter((file) => statSync(root + file).isFile());
  const hash = createHash("sha256");
  for (const file of [...sources.sort(), "package.json", "package-lock.json", "tsconfig.json"]) {
    hash.update(
      `${file}\0${createHash("sha256")
        .update(readFileSync(root + file))
        .digest("hex")}\n`,
    );
  }
  return hash.digest("hex");
}
