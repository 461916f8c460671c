import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { run } from "../support/child.js";
import { temporaryFolder } from "../support/temporary.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const REFUSED: readonly (readonly [path: string, code: string])[] = [
  ["src/core/x.ts", 'export { a } from "../consul/client.js";'],
  ["src/core/x.ts", 'export { a } from "../logger.js";'],
  ["src/core/x.ts", 'export { a } from "../daemon.js";'],
  ["src/core/x.ts", 'export { a } from "./dns/../../logger.js";'],
  ["src/core/x.ts", 'export { a } from "node:fs";'],
  ["src/core/x.ts", 'export { a } from "node:fs/promises";'],
  ["src/core/x.ts", 'export { a } from "node:crypto";'],
  ["src/core/x.ts", 'export { a } from "pino";'],
  ["src/core/x.ts", 'export { a } from "consul";'],
  ["src/core/x.ts", 'export { a } from "dns-packet";'],
  ["src/core/x.ts", 'export const a = import("../cli/program.js");'],
  ["src/core/x.ts", 'export type { a } from "../dns/resolver.js";'],
  ["src/core/dns/x.ts", 'export { a } from "../../consul/client.js";'],
  ["src/core/dns/x.ts", 'export { a } from "../../dns/resolver.js";'],
  ["src/core/dns/x.ts", 'export { a } from "../../logger.js";'],
  ["src/core/dns/x.ts", 'export { a } from "dns-packet";'],
  ["src/core/dns/x.ts", 'export { a } from "node:dns";'],
  ["src/core/dns/message.ts", 'export { a } from "../../logger.js";'],
  ["src/core/dns/message.ts", 'export { a } from "node:dgram";'],
  ["src/core/x.ts", "export const a = Date.now();"],
  ["src/core/x.ts", "export const a = new Date();"],
  ["src/core/x.ts", "export const a = performance.now();"],
  ["src/core/x.ts", "export const a = process.env;"],
  ["src/core/x.ts", "export const a = setTimeout(() => undefined, 1);"],
  ["src/core/x.ts", "export const a = setInterval(() => undefined, 1);"],
  ["src/core/x.ts", "export const a = globalThis.Date;"],
  ["src/core/dns/message.ts", "export const a = Date.now();"],
  ["src/core/epmd/x.ts", "export const a = process.pid;"],
  ["src/foo.ts", 'export { a } from "consul";'],
  ["src/consul/registrar.ts", 'export { a } from "consul";'],
  ["src/dns/x.ts", 'export { a } from "dns-packet";'],
  ["src/consul/transport.ts", 'export { a } from "dns-packet";'],
  ["src/foo.ts", 'console.log("x");'],
];

const LEGAL: readonly (readonly [path: string, code: string])[] = [
  ["src/core/x.ts", 'export { a } from "./ip.js";'],
  ["src/core/x.ts", 'export { a } from "./dns/select.js";'],
  ["src/core/x.ts", 'export { Buffer } from "node:buffer";'],
  ["src/core/dns/x.ts", 'export { a } from "./select.js";'],
  ["src/core/dns/x.ts", 'export { a } from "../ip.js";'],
  ["src/core/dns/x.ts", 'export { a } from "../epmd/codec.js";'],
  ["src/core/dns/x.ts", 'export { Buffer } from "node:buffer";'],
  ["src/core/dns/message.ts", 'export { a } from "dns-packet";'],
  ["src/core/dns/message.ts", 'export { a } from "../ip.js";'],
  ["src/consul/transport.ts", 'export { a } from "consul";'],
  ["src/dns/x.ts", 'export { a } from "../core/dns/message.js";'],
  ["src/foo.ts", "export const a = Date.now() + performance.now();"],
];

/** What the linter says of each case, by `path:line`. */
const complaints = new Map<string, string>();
const summary = { text: "" };

/** One small tree with our own biome.json, in which each case is a line of its file: one run of the linter sees them all. */
const files = new Map<string, string[]>();

/** Adds a case. @returns its place, `path:line` */
function place([path, code]: readonly [string, string]): string {
  const lines = files.get(path) ?? [];
  files.set(path, lines);
  // Every line needs an export of its own.
  const line = lines.push(code.replace(/\ba\b/, `a${lines.length}`));
  return `${path}:${line}`;
}

describe("the linter guards the borders", () => {
  const refused = REFUSED.map((one) => [one[0], one[1], place(one)] as const);
  const legal = LEGAL.map((one) => [one[0], one[1], place(one)] as const);

  beforeAll(async () => {
    const folder = await temporaryFolder("architecture");
    copyFileSync(`${ROOT}biome.json`, join(folder, "biome.json"));
    for (const [path, lines] of files) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), `${lines.join("\n")}\n`);
    }
    const args = ["lint", "--vcs-enabled=false", "--error-on-warnings", "--max-diagnostics=1000"];
    const { stdout, stderr } = await run(`${ROOT}node_modules/.bin/biome`, [...args, "--reporter=github", "."], {
      cwd: folder,
    });
    summary.text = stdout + stderr;
    for (const [, rule = "", path = "", line = ""] of stdout.matchAll(
      /^::\w+ title=([^,]*),file=(.*?),line=(\d+),/gm,
    )) {
      const key = `${relative(realpathSync(folder), resolve(folder, path))}:${line}`;
      complaints.set(key, `${complaints.get(key) ?? ""} ${rule}`);
    }
  });

  test.each(refused)("%s must not hold: %s", (_path, _code, key) => {
    expect(complaints.get(key), summary.text).toMatch(/noRestricted(Imports|Globals)|noConsole/);
  });

  test.each(legal)("%s may hold: %s", (_path, _code, key) => {
    // Not in vain: something in the same tree is refused.
    expect(complaints.size).toBe(REFUSED.length);
    expect(complaints.get(key)).toBeUndefined();
  });
});

describe("what a linter rule cannot say", () => {
  const core = readdirSync(`${ROOT}src/core`, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );

  test.each(core)("src/core/%s has no randomness and no state of its own", (file) => {
    const code = readFileSync(`${ROOT}src/core/${file}`, "utf8");
    expect(code).not.toMatch(/Math\.random|randomBytes|randomUUID/);
    expect(code).not.toMatch(/^(export )?let /m);
  });

  /** They read /proc, whose files the kernel makes. */
  const READERS_OF_PROC = [
    "consul/owner.ts",
    "doctor/listeners.ts",
    "doctor/vm-process.ts",
    "epmd/connection-limit.ts",
    "epmd/peer-uid.ts",
    "epmd/port-holder.ts",
  ];

  test("every other file is read up to a bound (bounded-file.ts), so that a FIFO or a huge file holds nobody up", () => {
    const files = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).filter(
      (file) => file.endsWith(".ts") && !file.startsWith("build/"),
    );
    const unbounded = files.filter((file) =>
      /^import \{[^}]*\breadFile(Sync)?\b/m.test(readFileSync(`${ROOT}src/${file}`, "utf8")),
    );
    expect(unbounded.sort()).toEqual(READERS_OF_PROC);
  });
});
