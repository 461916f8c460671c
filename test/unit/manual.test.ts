import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { withTables } from "../../src/build/manual.js";
import { COMMANDS } from "../../src/cli/commands.js";
import { EXIT } from "../../src/cli/io.js";
import { parseArguments } from "../../src/cli/parse.js";
import { loadConfig } from "../../src/config/config.js";
import { flagOf, hasFlag, isFileKey, OPTION_KEYS, optionOf } from "../../src/config/options.js";
import { CHECKS } from "../../src/doctor/checks.js";
import { PROBLEMS } from "../../src/doctor/core/problems.js";
import { titleOf } from "../../src/help/markdown.js";
import { forTerminal } from "../../src/help/terminal.js";
import { TOPIC_NAMES } from "../../src/help/topic-names.js";
import { TOPICS } from "../../src/help/topics.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const readme = read("README.md");
const texts = { README: readme, ...TOPICS };

/** Flags of other programs that the manual names. */
const FOREIGN = new Set([
  // Ours, of no command.
  ...["help", "help-all", "version"],
  ...["build-arg", "env", "network", "no-healthcheck", "rm", "tag"],
  ...["global", "only-bundle", "prefix", "silent"],
]);

describe("the README", () => {
  test("is short enough to be read: 12 KB", () => {
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(12 * 1024);
  });

  test("lists the topics in their order, with what each tells", () => {
    const listed = Array.from(readme.matchAll(/^\| \[([a-z]+)\]\(src\/help\/\1\.md\) \| (.*) \|$/gm));
    expect(listed.map(([, name, summary]) => ({ name, summary }))).toEqual(
      TOPIC_NAMES.map((name) => titleOf(TOPICS[name])),
    );
  });

  test("exports no variable in a block that is to be copied", () => {
    const blocks = Array.from(readme.matchAll(/```(?:sh|console)\n(.*?)```/gs), ([, block]) => block);
    expect(blocks.length).toBeGreaterThan(5);
    for (const block of blocks) expect(block).not.toContain("export ");
  });
});

describe("the topics", () => {
  test("are the files in their folder", () => {
    const files = readdirSync(`${root}src/help`).filter((file) => file.endsWith(".md"));
    expect(files.sort()).toEqual(TOPIC_NAMES.map((name) => `${name}.md`).sort());
  });

  test.each(TOPIC_NAMES)("%s has its name in its title, and fits a terminal of 80 columns", (name) => {
    const title = titleOf(TOPICS[name]);
    expect(title.name).toBe(name);
    expect(`  ${name.padEnd(13)}${title.summary}`.length).toBeLessThanOrEqual(80);
    for (const line of forTerminal(TOPICS[name], { columns: 80, coloured: false }).split("\n")) {
      expect(line.length, line).toBeLessThanOrEqual(80);
    }
  });

  test("have the tables that those of options, checks and metrics give (npm run manual writes them)", () => {
    for (const name of TOPIC_NAMES) expect(withTables(TOPICS[name]), name).toBe(TOPICS[name]);
  });

  test("have each option in the table of one topic", () => {
    const inTables = TOPIC_NAMES.flatMap((name) =>
      Array.from(TOPICS[name].matchAll(/^\| `(?:--([a-z-]+)|([a-z-]+):) ?[^|]*\|/gm), ([, flag, key]) => flag ?? key),
    );
    const shown = OPTION_KEYS.filter((key) => isFileKey(key) && !optionOf(key).hidden).map(flagOf);
    expect(inTables.sort()).toEqual(shown.sort());
  });

  test("and the README name no option that there is not", () => {
    const known = new Set([...OPTION_KEYS.filter(hasFlag).map(flagOf), ...FOREIGN]);
    for (const [name, text] of Object.entries(texts)) {
      const named = Array.from(text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g), ([, flag = ""]) => flag);
      expect(
        named.filter((flag) => !known.has(flag)),
        name,
      ).toEqual([]);
    }
  });

  test("and the README have JSON that is JSON", () => {
    for (const [name, text] of Object.entries(texts)) {
      for (const [, json] of text.matchAll(/```json\n(.*?)```/gs)) {
        expect(() => JSON.parse(json ?? ""), name).not.toThrow();
      }
    }
  });

  test("link to no file outside the package", () => {
    const { files } = JSON.parse(read("package.json")) as { files: string[] };
    for (const name of TOPIC_NAMES) {
      for (const [, target = ""] of TOPICS[name].matchAll(/\]\((?!https?:|#)([^)#]*)/g)) {
        const path = join("src/help", target);
        expect(existsSync(root + path), target).toBe(true);
        const shipped = dirname(path) === "src/help" ? "src/help/*.md" : path.split("/")[0];
        expect(files, target).toContain(shipped);
      }
    }
  });
});

describe("the topic commands", () => {
  test("lists every command, and none besides", () => {
    const listed = Array.from(TOPICS.commands.matchAll(/^\| `([a-z]+)(?: [^`]*)?` \|/gm), (match) => match[1]);
    expect(listed).toEqual([...COMMANDS.map(({ name }) => name), "help"]);
  });

  test("names every exit code", () => {
    for (const code of Object.values(EXIT)) expect(TOPICS.commands).toContain(`**${code}** `);
  });
});

describe("the topic doctor", () => {
  test("names a check for every symptom, and a symptom for every check", () => {
    const table = TOPICS.doctor.slice(TOPICS.doctor.indexOf("| symptom |"), TOPICS.doctor.indexOf("<!-- checks"));
    const rows = table.split("\n").filter((line) => /^\| (?!symptom)/.test(line));
    const named = rows.map((row) => / \| `([a-z-]+)` \| /.exec(row)?.[1]);
    // Where there is no hairpin nothing is wrong.
    expect(new Set(named)).toEqual(new Set(CHECKS.map(({ id }) => id).filter((id) => id !== "hairpin")));
  });

  test("has each code once, with what is wrong and what to do, and none that nothing tells", () => {
    const table = TOPICS.doctor.slice(TOPICS.doctor.indexOf("<!-- problems"));
    const rows = Array.from(table.matchAll(/^\| ([A-Z0-9_]+) \| \S[^|]{4,} \| \S[^|]{3,} \|$/gm), ([, code]) => code);
    expect(rows).toEqual(Object.keys(PROBLEMS));
    const files = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter(
      (file) => file.endsWith(".ts") && !/\/problems-[a-z-]+\.ts$/.test(file),
    );
    const told = new Set(files.flatMap((file) => read(`src/${file}`).match(/\b[A-Z0-9]+(_[A-Z0-9]+)+\b/g) ?? []));
    expect(rows.filter((code) => !told.has(code ?? ""))).toEqual([]);
  });

  test("lists checks that a test breaks for real", () => {
    const tests = readdirSync(`${root}test/peer`).filter((file) => file.startsWith("doctor"));
    const code = tests.map((file) => read(`test/peer/${file}`)).join("\n");
    for (const { id } of CHECKS) expect(code, id).toContain(`"${id}"`);
  });
});

test("the topic packaging names every run-time package", () => {
  const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
  const section = TOPICS.packaging.slice(TOPICS.packaging.indexOf("## Run-time packages"));
  for (const name of Object.keys(dependencies)) expect(section).toContain(`\`${name}\``);
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
