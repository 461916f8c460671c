import parser from "yargs-parser";
import { refuseOldName } from "../config/old-names.js";
import { type Command, flagOf, OPTION_KEYS, type OptionKey, optionOf } from "../config/options.js";
import { boolean, ValueError } from "../config/values.js";
import { ConfigError } from "../errors.js";
import { nearest } from "../names/nearest.js";
import type { CommandDefinition } from "./commands.js";

export interface ParsedArguments {
  /** Flags that were given, as text. */
  readonly flags: Partial<Record<OptionKey, string | readonly string[]>>;
  readonly operands: readonly string[];
}

/** Options of a command that have a flag. */
export function flagKeysOf(command: Command): OptionKey[] {
  return OPTION_KEYS.filter((key) => optionOf(key).commands.includes(command) && !optionOf(key).variableOnly);
}

/** Parses what follows the command's name. @throws ConfigError CONFIG_UNKNOWN, CONFIG_VALUE */
export function parseArguments(
  { name: command, usage, operands }: CommandDefinition,
  args: readonly string[],
): ParsedArguments {
  const keys = flagKeysOf(command);
  const booleans = keys.filter((key) => optionOf(key).boolean).map(flagOf);
  const parsed = parser.detailed(normaliseBooleans(args, booleans), {
    string: keys.filter((key) => !optionOf(key).boolean).map(flagOf),
    boolean: booleans,
    configuration: {
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
      "populate--": false,
    },
  });
  const { _: positional, ...given } = parsed.argv;
  if (parsed.error) throw new ConfigError("CONFIG_UNKNOWN", parsed.error.message);
  const flags: ParsedArguments["flags"] = {};
  for (const [parsedAs, value] of Object.entries(given)) {
    // The parser takes `--no-admin` for a negation, but `--admin` has a value.
    const flag = value === false && !booleans.includes(parsedAs) ? `no-${parsedAs}` : parsedAs;
    const key = keys.find((candidate) => flagOf(candidate) === flag);
    if (key === undefined) {
      for (const name of [flag, parsedAs]) refuseOldName(`--${flag}`, name);
      throw new ConfigError("CONFIG_UNKNOWN", unknownFlag(flag, command));
    }
    const texts = [value].flat().map((text) => String(flag === parsedAs ? text : true));
    // `--flag=` gives an empty value on purpose; the option's parser says what it thinks of it.
    if (texts.includes("") && !args.includes(`--${flag}=`)) {
      throw new ConfigError("CONFIG_VALUE", `--${flag} needs a value`);
    }
    flags[key] = Array.isArray(value) ? texts : (texts[0] ?? "");
  }
  const texts = positional.map(String);
  if (texts.length < operands.least || texts.length > operands.most) {
    const wrong =
      texts.length > operands.most
        ? `${JSON.stringify(texts[operands.most])} is one argument too many`
        : "a name is missing";
    throw new ConfigError("CONFIG_UNKNOWN", `${wrong}; usage: srv-epmd ${usage} [options]`);
  }
  return { flags, operands: texts };
}

/** `--flag=true` and `--flag=no` of booleans in the form that the parser takes. */
function normaliseBooleans(args: readonly string[], booleans: readonly string[]): string[] {
  return args.map((arg) => {
    const [, flag = "", value = ""] = /^--([a-z-]+)=(.*)$/s.exec(arg) ?? [];
    if (!booleans.includes(flag)) return arg;
    try {
      return boolean(value) ? `--${flag}` : `--no-${flag}`;
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError("CONFIG_VALUE", `--${flag}: ${JSON.stringify(value)} ${error.message}`);
    }
  });
}

function unknownFlag(flag: string, command: Command): string {
  const dashes = flag.length === 1 ? "-" : "--";
  const key = OPTION_KEYS.find((candidate) => flagOf(candidate) === flag && !optionOf(candidate).variableOnly);
  const meant = flag.length > 2 ? nearest(flag, flagKeysOf(command).map(flagOf)) : undefined;
  const hint = meant === undefined ? ";" : `; was --${meant} meant?`;
  return key === undefined
    ? `${dashes}${flag} is not an option${hint} see srv-epmd ${command} --help`
    : `--${flag} is an option of ${optionOf(key).commands.join(", ")}, not of ${command}`;
}
