import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import {
  type Command,
  defaultOf,
  flagOf,
  GROUPS,
  hasFlag,
  isFileKey,
  OPTION_KEYS,
  type OptionKey,
  optionOf,
} from "../config/options.js";
import { METRICS, type MetricSpec } from "../daemon/metrics.js";
import { CHECKS } from "../doctor/checks.js";
import type { Kind } from "../doctor/core/problem-kind.js";
import { PROBLEMS_HERE } from "../doctor/core/problems-here.js";
import { PROBLEMS_OF_PEER } from "../doctor/core/problems-of-peer.js";
import { PROBLEMS_PUBLISHED } from "../doctor/core/problems-published.js";
import { ROOT } from "./settings.js";

const TABLES = { options: optionTables, checks: checkTable, problems: problemTables, metrics: metricTable };

/** A topic with its tables made anew: of options, of the checks and problems of doctor, or of metrics. Most have none. */
export function withTables(topic: string): string {
  return Object.entries(TABLES).reduce((text, [name, table]) => withTable(text, name, table), topic);
}

function withTable(topic: string, name: string, table: () => string): string {
  const head = `<!-- ${name}: written by \`npm run manual\` -->\n`;
  const start = topic.indexOf(head);
  if (start < 0) return topic;
  const end = topic.indexOf(`<!-- /${name} -->`);
  if (end < start) throw new Error(`the table of ${name} has no end`);
  return `${topic.slice(0, start + head.length)}${table()}${topic.slice(end)}`;
}

function checkTable(): string {
  const rows = CHECKS.map(({ id, title }, index) => `| ${index + 1} | \`${id}\` | ${forTable(title)} |`);
  return ["", "| | check | what it looks at |", "|---|---|---|", ...rows, "", ""].join("\n");
}

function problemTables(): string {
  const table = (title: string, kinds: Readonly<Record<string, Kind>>) => {
    const rows = Object.entries(kinds).map(
      ([code, { means, action }]) => `| ${code} | ${forTable(means)} | ${forTable(action)} |`,
    );
    return ["", `### ${title}`, "", "| code | what is wrong | what to do |", "|---|---|---|", ...rows, ""].join("\n");
  };
  const tables = [
    table("Of this machine and its VMs", PROBLEMS_HERE),
    table("Of what is published", PROBLEMS_PUBLISHED),
    table("Of the node that is asked for", PROBLEMS_OF_PEER),
  ];
  return `${tables.join("")}\n`;
}

function optionTables(): string {
  const keys = OPTION_KEYS.filter((key) => isFileKey(key) && !optionOf(key).hidden);
  return Object.entries(GROUPS)
    .map(([group, title]) => {
      const rows = keys.filter((key) => optionOf(key).group === group).map(row);
      const head = ["| flag | what it does | default | also |", "|---|---|---|---|"];
      return ["", `## ${title}`, "", ...head, ...rows, ""].join("\n");
    })
    .concat("")
    .join("\n");
}

function metricTable(): string {
  const rows = Object.entries<MetricSpec>(METRICS).map(([name, { type, help, labels }]) => {
    const by = labels.length === 0 ? "" : ` by ${labels.map((label) => `\`${label}\``).join(", ")}`;
    return `| \`${name}\` | ${forTable(help)} | ${type}${by} |`;
  });
  return ["", "| metric | what it tells | kind |", "|---|---|---|", ...rows, "", ""].join("\n");
}

function row(key: OptionKey): string {
  const option = optionOf(key);
  const name = hasFlag(key) ? `--${flagOf(key)}` : `${flagOf(key)}:`;
  const flag = `\`${name}${option.placeholder ? ` ${option.placeholder}` : ""}\`${option.list ? "…" : ""}`;
  const listed = commandsOf(key);
  const commands = listed.length === 1 && listed[0] === "serve" ? "" : ` (${listed.join(", ")})`;
  const also = option.variable === undefined ? "" : `\`${option.variable}\``;
  return `| ${forTable(flag)} | ${forTable(option.help)}${commands} | ${defaultText(key)} | ${also} |`;
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

const HELP = `${ROOT}src/help/`;

if (process.argv[1]?.endsWith("manual.ts")) {
  for (const file of readdirSync(HELP).filter((name) => name.endsWith(".md"))) {
    writeFileSync(HELP + file, withTables(readFileSync(HELP + file, "utf8")));
  }
}
