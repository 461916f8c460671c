import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { CHECKS } from "../../src/doctor/checks.js";
import { run } from "../support/child.js";
import { temporaryFolder } from "../support/temporary.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const REFUSED: readonly (readonly [path: string, code: string])[] = [
  ["src/names/x.ts", 'export { a } from "../consul/client.js";'],
  ["src/net/x.ts", 'export { a } from "../daemon/logger.js";'],
  ["src/config/x.ts", 'export { a } from "../publish/registrar.js";'],
  ["src/config/x.ts", 'export { a } from "../dns/core/../resolver.js";'],
  ["src/text.ts", 'export { a } from "./os/machine.js";'],
  ["src/names/x.ts", 'export { a } from "node:fs";'],
  ["src/net/x.ts", 'export { a } from "node:fs/promises";'],
  ["src/config/x.ts", 'export { a } from "node:crypto";'],
  ["src/names/x.ts", 'export { a } from "pino";'],
  ["src/names/x.ts", 'export { a } from "papi";'],
  ["src/names/x.ts", 'export { a } from "dns-packet";'],
  ["src/names/x.ts", 'export const a = import("../cli/program.js");'],
  ["src/epmd/wire/x.ts", 'export type { a } from "../connection.js";'],
  ["src/publish/core/x.ts", 'export { a } from "../publisher.js";'],
  ["src/publish/core/x.ts", 'export { a } from "../../consul/client.js";'],
  ["src/dns/core/x.ts", 'export { a } from "../resolver.js";'],
  ["src/dns/wire/x.ts", 'export { a } from "../../daemon/logger.js";'],
  ["src/dns/core/x.ts", 'export { a } from "dns-packet";'],
  ["src/dns/core/x.ts", 'export { a } from "node:dns";'],
  ["src/dns/wire/message.ts", 'export { a } from "../../daemon/logger.js";'],
  ["src/dns/wire/message.ts", 'export { a } from "node:dgram";'],
  ["src/names/x.ts", "export const a = Date.now();"],
  ["src/net/x.ts", "export const a = new Date();"],
  ["src/config/x.ts", "export const a = performance.now();"],
  ["src/config/x.ts", "export const a = process.env;"],
  ["src/publish/core/x.ts", "export const a = setTimeout(() => undefined, 1);"],
  ["src/resolve/core/x.ts", "export const a = setInterval(() => undefined, 1);"],
  ["src/relay/wire/x.ts", "export const a = globalThis.Date;"],
  ["src/dns/wire/message.ts", "export const a = Date.now();"],
  ["src/epmd/wire/x.ts", "export const a = process.pid;"],
  ["src/sampling.ts", "export const a = performance.now();"],
  ["src/foo.ts", 'export { a } from "papi";'],
  ["src/publish/registrar.ts", 'export { a } from "papi";'],
  ["src/dns/x.ts", 'export { a } from "dns-packet";'],
  ["src/api/connection.ts", 'export { a } from "dns-packet";'],
  ["src/foo.ts", 'console.log("x");'],
];

const LEGAL: readonly (readonly [path: string, code: string])[] = [
  ["src/names/x.ts", 'export { a } from "./domains.js";'],
  ["src/config/x.ts", 'export { a } from "../gateway/core/addresses.js";'],
  ["src/config/x.ts", 'export { a } from "../errors.js";'],
  ["src/net/x.ts", 'export { Buffer } from "node:buffer";'],
  ["src/dns/core/x.ts", 'export { a } from "./order.js";'],
  ["src/dns/core/x.ts", 'export { a } from "../wire/record.js";'],
  ["src/dns/core/x.ts", 'export { a } from "../../net/ip.js";'],
  ["src/publish/core/x.ts", 'export { a } from "../../epmd/core/registry.js";'],
  ["src/epmd/wire/x.ts", 'export { a } from "../../text.js";'],
  ["src/epmd/wire/x.ts", 'export { Buffer } from "node:buffer";'],
  ["src/dns/wire/message.ts", 'export { a } from "dns-packet";'],
  ["src/dns/wire/message.ts", 'export { a } from "../../net/ip.js";'],
  ["src/api/connection.ts", 'export { a } from "papi";'],
  ["src/dns/x.ts", 'export { a } from "./wire/message.js";'],
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

test("what a linter rule cannot say: pure code has no randomness and no state of its own", () => {
  const pure = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).filter((file) =>
    /^(names|net|config)\/.*\.ts$|\/(core|wire)\/.*\.ts$|^(errors|text|sampling|grouped)\.ts$/.test(file),
  );
  expect(pure.length).toBeGreaterThan(40);
  const offenders = pure.filter((file) => {
    const code = readFileSync(`${ROOT}src/${file}`, "utf8");
    return /Math\.random|randomBytes|randomUUID/.test(code) || /^(export )?let /m.test(code);
  });
  expect(offenders).toEqual([]);
});

const SOURCES = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

/** The files in src that a file imports or exports from, types and what is loaded later included. */
function importsOf(file: string): string[] {
  const code = readFileSync(`${ROOT}src/${file}`, "utf8");
  const specifiers = Array.from(code.matchAll(/\b(?:from|import) ?\(?"(\.[^"]+)\.js"/g), ([, path = ""]) => path);
  return specifiers.map((path) => `${join(dirname(file), path)}.ts`).filter((path) => SOURCES.includes(path));
}

test("no circle between files, imports of types included", () => {
  const imports = new Map(SOURCES.map((file) => [file, importsOf(file)]));
  expect(Array.from(imports.values()).flat().length).toBeGreaterThan(500);
  // A file that nothing imports, or that imports nothing, is in no circle. Without these files others are in the same
  // position, and at last only the circles are left, with the files between two of them.
  for (let before = -1; before !== imports.size; ) {
    before = imports.size;
    const imported = new Set(Array.from(imports.values()).flat());
    for (const [file, others] of imports) {
      if (!imported.has(file) || !others.some((other) => imports.has(other))) imports.delete(file);
    }
  }
  expect(Array.from(imports.keys())).toEqual([]);
});

test("only what puts the parts together knows the whole configuration; a part says which settings it uses", () => {
  const knowing = SOURCES.filter((file) => importsOf(file).includes("config/config.ts"));
  expect(knowing.length).toBeGreaterThan(5);
  expect(knowing.filter((file) => !/^(admin|cli|daemon|doctor)\/|^index\.ts$/.test(file))).toEqual([]);
});

test.each(CHECKS.map(({ id }) => id))("doctor's check %s has a file of its own, named after it", async (id) => {
  const exported = Object.values(await import(`../../src/doctor/${id}.ts`)).map(Object);
  const checks = exported.filter((one) => "id" in one && "run" in one);
  expect(checks).toMatchObject([{ id }]);
});

/** They read /proc, whose files the kernel makes. */
const READERS_OF_PROC = ["os/machine.ts", "os/sockets.ts", "os/vm-process.ts"];

test("every other file is read up to a bound (os/files.ts), so that a FIFO or a huge file holds nobody up", () => {
  const files = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.startsWith("build/"),
  );
  const unbounded = files.filter((file) =>
    /^import \{[^}]*\breadFile(Sync)?\b/m.test(readFileSync(`${ROOT}src/${file}`, "utf8")),
  );
  expect(unbounded.sort()).toEqual(READERS_OF_PROC);
});
