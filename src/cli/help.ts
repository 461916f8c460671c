import {
  type Command,
  defaultOf,
  flagOf,
  GROUPS,
  hasFlag,
  OPTION_KEYS,
  type OptionKey,
  optionOf,
} from "../config/options.js";
import { COMMANDS, type CommandDefinition } from "./commands.js";
import { wrap } from "./io.js";
import { flagKeysOf } from "./parse.js";

/** Columns: longer lines are hard to follow, however wide the terminal is. */
const WIDEST = 80;
const NARROWEST = 40;
/** Columns of a name; what it does begins behind it. A longer one stands on a line of its own. */
const NAME_WIDTH = 24;
/** In a narrower terminal every name stands on a line of its own. */
const NARROWEST_FOR_COLUMNS = 60;

/** What `--help` prints, or `--help-all`. @param name of a command; none: of the program */
export function helpText(name: string | undefined, all: boolean, columns: number): string {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  const width = Math.max(NARROWEST, Math.min(WIDEST, columns));
  const lines = command ? commandHelp(command, all) : programHelp(all);
  return lines
    .flatMap((line) => (typeof line === "string" ? [line] : entryLines(line, width)))
    .flatMap((line) => wrap(line, width))
    .join("\n");
}

function programHelp(all: boolean): (string | Entry)[] {
  const commands = [
    ...COMMANDS,
    { usage: "help [topic]", summary: "the manual: its topics, or one of them" },
    { usage: "completion [shell]", summary: "print a completion script for bash, zsh or fish" },
  ];
  return [
    "srv-epmd <command> [options]",
    "",
    "An EPMD that answers from DNS SRV records and publishes its nodes into Consul.",
    "",
    "Commands:",
    ...commands.map(({ usage, summary }) => ({ name: usage, meaning: summary })),
    "",
    "srv-epmd <command> --help has the options that people use first and examples,",
    "--help-all every option, srv-epmd --version the version.",
    ...(all ? byTopic(OPTION_KEYS.filter(hasFlag), "serve") : []),
  ];
}

function commandHelp(
  { name, usage, summary, operands, examples, first }: CommandDefinition,
  all: boolean,
): (string | Entry)[] {
  const keys = flagKeysOf(name);
  const operand = /[<[](\w+)/.exec(usage)?.[1];
  // doctor has every option of serve, which serve explains.
  const isDoctor = name === "doctor";
  const others = isDoctor
    ? ["", "Every option of serve is one of doctor too: srv-epmd serve --help-all"]
    : first && !all
      ? ["", `All options: srv-epmd ${name} --help-all, or by topic: srv-epmd help options`]
      : [];
  return [
    `srv-epmd ${usage} [options]`,
    "",
    `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`,
    ...(operand === undefined ? [] : ["", { name: operand, meaning: operands.describe }]),
    ...(first && (isDoctor || !all)
      ? ["", "Options that people use first:", ...first.map((key) => optionEntry(key, name))]
      : byTopic(keys, name)),
    ...others,
    "",
    "An option is a flag, a variable (--max-ttl is SRV_EPMD_MAX_TTL) or a key of the --config file; one with ... may be given several times.",
    "",
    "Examples:",
    ...examples.flatMap(([line, meaning]) => [`  ${line}`, `      ${meaning}`]),
  ];
}

function byTopic(keys: readonly OptionKey[], command: Command): (string | Entry)[] {
  return Object.entries(GROUPS).flatMap(([group, title]) => {
    const shown = keys.filter((key) => optionOf(key).group === group && !optionOf(key).hidden);
    return shown.length === 0 ? [] : ["", `${title}:`, ...shown.map((key) => optionEntry(key, command))];
  });
}

function optionEntry(key: OptionKey, command: Command): Entry {
  const { placeholder, help, list, boolean, variable, defaultText } = optionOf(key);
  const text = defaultOf(key, command) ?? defaultText;
  const isOff = boolean && text === "false";
  const facts = [
    ...(text === undefined || isOff ? [] : [`default: ${text}`]),
    ...(variable === undefined ? [] : [variable]),
  ];
  const name = `--${flagOf(key)}${placeholder === undefined ? "" : ` ${placeholder}`}${list ? "..." : ""}`;
  return { name, meaning: facts.length === 0 ? help : `${help} [${facts.join("; ")}]` };
}

/** A name and what it means. */
interface Entry {
  readonly name: string;
  readonly meaning: string;
}

/** In two columns where there is room. */
function entryLines({ name, meaning }: Entry, width: number): string[] {
  const isNarrow = width < NARROWEST_FOR_COLUMNS;
  if (!isNarrow && name.length <= NAME_WIDTH) return [`  ${name.padEnd(NAME_WIDTH)}  ${meaning}`];
  return [`  ${name}`, `${" ".repeat(isNarrow ? 6 : NAME_WIDTH + 4)}${meaning}`];
}
