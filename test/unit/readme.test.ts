import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { withTables } from "../../src/build/readme.js";
import { COMMANDS } from "../../src/cli/commands.js";
import { EXIT } from "../../src/cli/exit-code.js";
import { parseArguments } from "../../src/cli/parse.js";
import { loadConfig } from "../../src/core/config.js";
import { CHECKS } from "../../src/doctor/checks.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const readme = read("README.md");

describe("the README", () => {
  test("has the tables that those of options and of checks give (npm run readme writes them)", () => {
    expect(withTables(readme)).toBe(readme);
  });

  test("names a check of doctor for every symptom, and a symptom for every check", () => {
    const section = readme.slice(readme.indexOf("## Troubleshooting"));
    const table = section.slice(section.indexOf("| symptom |"), section.indexOf("<!-- checks"));
    const rows = table.split("\n").filter((line) => /^\| (?!symptom)/.test(line));
    const named = rows.map((row) => / \| `([a-z-]+)` \| /.exec(row)?.[1]);
    // Where there is no hairpin nothing is wrong.
    expect(new Set(named)).toEqual(new Set(CHECKS.map(({ id }) => id).filter((id) => id !== "hairpin")));
  });

  test("every check of the table of symptoms is broken for real by a test", () => {
    const tests = readdirSync(`${root}test/peer`).filter((file) => file.startsWith("doctor"));
    const code = tests.map((file) => read(`test/peer/${file}`)).join("\n");
    for (const { id } of CHECKS) expect(code, id).toContain(`"${id}"`);
  });

  test("lists every command, and none besides", () => {
    const listed = Array.from(readme.matchAll(/^\| `([a-z]+)(?: [^`]*)?` \| (?!yes)/gm), (match) => match[1]);
    expect(listed).toEqual(COMMANDS.map(({ name }) => name));
  });

  test("names every exit code", () => {
    for (const code of Object.values(EXIT)) expect(readme).toContain(`**${code}** `);
  });

  test("names every run-time package", () => {
    const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
    const section = readme.slice(readme.indexOf("## Run-time packages"));
    for (const name of Object.keys(dependencies)) expect(section).toContain(`\`${name}\``);
  });

  test("has JSON that is JSON", () => {
    for (const [, json] of readme.matchAll(/```json\n(.*?)```/gs)) expect(() => JSON.parse(json ?? "")).not.toThrow();
  });
});

test("every example unit calls a command line that the program takes", () => {
  const units = readdirSync(`${root}examples/systemd`);
  expect(units).not.toHaveLength(0);
  for (const unit of units) {
    const words = /^ExecStart=.*srv-epmd (.*)$/m.exec(read(`examples/systemd/${unit}`))?.[1]?.split(" ") ?? [];
    const command = COMMANDS.find(({ name }) => name === words[0]);
    if (!command) throw new Error(`${unit}: ${words[0]} is no command`);
    const { flags } = parseArguments(command, words.slice(1));
    expect(() => loadConfig({ command: command.name, flags, env: {} })).not.toThrow();
  }
});
