import { parseArgs } from "node:util";
import { refuseOldName } from "../config/old-names.js";
import { type Command, flagOf, hasFlag, keyOfFlag, OPTION_KEYS, type OptionKey, optionOf } from "../config/options.js";
import { ConfigError } from "../errors.js";
import { nearest } from "../text.js";
import type { CommandDefinition } from "./commands.js";

interface ParsedArguments {
  /** Flags that were given, as text. */
  readonly flags: Partial<Record<OptionKey, string | readonly string[]>>;
  readonly operands: readonly string[];
}

/** Options of a command that have a flag. */
export function flagKeysOf(command: Command): OptionKey[] {
  return OPTION_KEYS.filter((key) => hasFlag(key) && optionOf(key).commands.includes(command));
}

/** Parses what follows the command's name. @throws ConfigError CONFIG_UNKNOWN, CONFIG_VALUE */
export function parseArguments(
  { name: command, usage, operands }: CommandDefinition,
  args: readonly string[],
): ParsedArguments {
  const keys = new Map(flagKeysOf(command).map((key) => [flagOf(key), key]));
  const isBoolean = (flag: string) => {
    const key = keys.get(flag);
    return key !== undefined && optionOf(key).boolean === true;
  };
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Array.from(keys, ([flag, key]) => [flag, { type: optionOf(key).boolean ? "boolean" : "string" }]),
    ),
    // Complaints are ours: they name what was meant.
    strict: false,
    tokens: true,
  });
  const given = new Map<OptionKey, string[]>();
  const words: string[] = [];
  let taken = -1;
  for (const token of tokens) {
    if (token.kind === "positional" && token.index !== taken) words.push(token.value);
    if (token.kind !== "option") continue;
    const negated = token.rawName.startsWith("--no-") ? token.name.slice("no-".length) : "";
    const flag = isBoolean(negated) && token.value === undefined ? negated : token.name;
    const key = keys.get(flag);
    if (key === undefined) {
      refuseOldName(token.rawName, flag);
      if (negated !== "") refuseOldName(token.rawName, negated, true);
      throw new ConfigError("CONFIG_UNKNOWN", unknownFlag(flag, token.rawName, command));
    }
    let text = token.value;
    if (flag === negated) text = "false";
    else if (isBoolean(flag) && text === undefined) {
      const next = args[token.index + 1];
      text = next === "true" || next === "false" ? next : "true";
      if (text === next) taken = token.index + 1;
    }
    // `--flag=` gives an empty value on purpose; the option's parser says whether it may be empty.
    if (text === undefined || (!token.inlineValue && (text === "" || /^-[^0-9]/.test(text)))) {
      throw new ConfigError("CONFIG_VALUE", `--${flag} needs a value`);
    }
    // Of a switch the last one counts, so that a user can override what an alias or a script has given.
    given.set(key, isBoolean(flag) ? [text] : [...(given.get(key) ?? []), text]);
  }
  if (words.length < operands.least || words.length > operands.most) {
    const wrong =
      words.length > operands.most
        ? `${JSON.stringify(words[operands.most])} is one argument too many`
        : "a name is missing";
    throw new ConfigError("CONFIG_UNKNOWN", `${wrong}; usage: srv-epmd ${usage} [options]`);
  }
  const flags = Array.from(given, ([key, texts]) => [key, texts.length === 1 ? texts[0] : texts]);
  return { flags: Object.fromEntries(flags), operands: words };
}

function unknownFlag(flag: string, written: string, command: Command): string {
  const key = keyOfFlag(flag);
  if (key !== undefined && hasFlag(key))
    return `${written} is an option of ${optionOf(key).commands.join(", ")}, not of ${command}`;
  const meant = flag.length > 2 ? nearest(flag, flagKeysOf(command).map(flagOf)) : undefined;
  const hint = meant === undefined ? ";" : `; was --${meant} meant?`;
  return `${written} is not an option${hint} see srv-epmd ${command} --help`;
}
