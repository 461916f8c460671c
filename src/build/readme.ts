import { readFileSync, writeFileSync } from "node:fs";
import { type Command, defaultOf, flagOf, OPTION_KEYS, type OptionKey, optionOf, variableOf } from "../core/options.js";

const START = "<!-- options: written by `npm run readme` -->\n";
const END = "<!-- /options -->";

/** The README with its table of options made anew from the option table. */
export function withOptionTable(readme: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start < 0 || end < start) throw new Error("the README has no place for the table of options");
  return `${readme.slice(0, start + START.length)}${optionTable()}${readme.slice(end)}`;
}

function optionTable(): string {
  const rows = OPTION_KEYS.filter((key) => !optionOf(key).variableOnly).map(row);
  return ["", "| flag | variable | default | what it does |", "|---|---|---|---|", ...rows, "", ""].join("\n");
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
  writeFileSync(path, withOptionTable(readFileSync(path, "utf8")));
}
