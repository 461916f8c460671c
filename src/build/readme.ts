import { readFileSync, writeFileSync } from "node:fs";
import { type Command, defaultOf, flagOf, OPTION_KEYS, type OptionKey, optionOf, variableOf } from "../core/options.js";
import { CHECKS } from "../doctor/checks.js";
import { METRICS, type MetricSpec } from "../metrics.js";

const TABLES = { options: optionTable, checks: checkTable, metrics: metricTable };

/** The README with its tables made anew: of options, of the checks of doctor, and of metrics. */
export function withTables(readme: string): string {
  return Object.entries(TABLES).reduce((text, [name, table]) => withTable(text, name, table()), readme);
}

function withTable(readme: string, name: string, table: string): string {
  const head = `<!-- ${name}: written by \`npm run readme\` -->\n`;
  const start = readme.indexOf(head);
  const end = readme.indexOf(`<!-- /${name} -->`);
  if (start < 0 || end < start) throw new Error(`the README has no place for the table of ${name}`);
  return `${readme.slice(0, start + head.length)}${table}${readme.slice(end)}`;
}

function checkTable(): string {
  const rows = CHECKS.map(({ id, title }, index) => `| ${index + 1} | \`${id}\` | ${forTable(title)} |`);
  return ["", "| | check | what it looks at |", "|---|---|---|", ...rows, "", ""].join("\n");
}

function optionTable(): string {
  const rows = OPTION_KEYS.filter((key) => !optionOf(key).variableOnly).map(row);
  return ["", "| flag | variable | default | what it does |", "|---|---|---|---|", ...rows, "", ""].join("\n");
}

function metricTable(): string {
  const rows = Object.entries<MetricSpec>(METRICS).map(([name, { type, help, labels }]) => {
    const by = labels.length === 0 ? "" : ` by ${labels.map((label) => `\`${label}\``).join(", ")}`;
    return `| \`${name}\` | ${type}${by} | ${forTable(help)} |`;
  });
  return ["", "| metric | kind | what it tells |", "|---|---|---|", ...rows, "", ""].join("\n");
}

function row(key: OptionKey): string {
  const option = optionOf(key);
  const flag = `\`--${flagOf(key)}${option.placeholder ? ` ${option.placeholder}` : ""}\`${option.list ? "…" : ""}`;
  const variables = [variableOf(key), option.variable]
    .filter((name) => name !== undefined)
    .map((name) => `\`${name}\``);
  const listed = commandsOf(key);
  const commands = listed.length === 1 && listed[0] === "serve" ? "" : ` (${listed.join(", ")})`;
  return `| ${flag} | ${variables.join(", ")} | ${defaultText(key)} | ${forTable(option.help)}${commands} |`;
}

/** doctor has all options of serve, which is said once. */
function commandsOf(key: OptionKey): Command[] {
  const { commands } = optionOf(key);
  return commands.filter((command) => command !== "doctor" || !commands.includes("serve"));
}

function defaultText(key: OptionKey): string {
  const option = optionOf(key);
  if (option.defaultText !== undefined) return forTable(option.defaultText);
  const byValue = new Map<string | undefined, Command[]>();
  for (const command of commandsOf(key)) {
    const value = defaultOf(key, command);
    byValue.set(value, [...(byValue.get(value) ?? []), command]);
  }
  const texts = Array.from(byValue, ([value, commands], index) => {
    if (value === undefined) return "";
    return index === 0 ? `\`${forTable(value)}\`` : `${commands.join(", ")}: \`${forTable(value)}\``;
  });
  return texts.join("; ");
}

function forTable(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

if (process.argv[1]?.endsWith("readme.ts")) {
  const path = new URL("../../README.md", import.meta.url);
  writeFileSync(path, withTables(readFileSync(path, "utf8")));
}
