import yargs, { type Argv, type Options } from "yargs";
import { type Command, defaultOf, flagOf, type Group, optionOf, variableOf } from "../config/options.js";
import { TOPIC_NAMES } from "../help/topic-names.js";
import { version } from "../version.js";
import { COMMANDS, type CommandDefinition } from "./commands.js";
import { flagKeysOf } from "./parse.js";

export const GROUP_TITLES: Record<Group, string> = {
  listen: "Listening:",
  resolve: "Resolution:",
  publish: "Publication:",
  consul: "Consul agent:",
  embedded: "Embedded DNS:",
  gateway: "Gateway:",
  mesh: "Consul Connect:",
  admin: "Status and metrics over HTTP:",
  module: "Where it goes:",
  all: "General:",
};

/** What `--help`, `--version` and `completion` print. Loaded only for them: a daemon has no use for it. */
export function helpText(args: readonly string[], columns: number): Promise<string> {
  const program = COMMANDS.reduce(
    defineCommand,
    yargs()
      .scriptName("srv-epmd")
      .usage("$0 <command>\n\nAn EPMD that answers from DNS SRV records and publishes its nodes into Consul.")
      .locale("en")
      .version(version)
      .alias("version", "V")
      .help()
      .alias("help", "h")
      .completion("completion", "print a completion script for bash or zsh")
      .parserConfiguration({ "camel-case-expansion": false })
      .exitProcess(false)
      .wrap(Math.min(110, columns)),
  );
  program.command("help [topic]", "the manual: its topics, or one of them");
  return new Promise((resolve, reject) => {
    void program.parse([...args], {}, (error: Error | undefined | null, _argv: unknown, output: string) => {
      if (error) reject(error);
      else resolve(output);
    });
  });
}

/** What the completion script of yargs asks for: the words that may come next. @param words the command line so far */
export function completions(words: readonly string[]): string {
  const commands = COMMANDS.map(({ name }) => name);
  if (words[1] === "help" && words.length > 2) return Array.from(new Set([...TOPIC_NAMES, ...commands])).join("\n");
  const command = COMMANDS.find(({ name }) => name === words[1]);
  if (!command || words.length < 3) return [...commands, "help", "completion"].join("\n");
  return [...flagKeysOf(command.name).map(flagOf), "help"].map((flag) => `--${flag}`).join("\n");
}

function defineCommand(program: Argv, { name, usage, summary, operands, examples }: CommandDefinition): Argv {
  const positional = /[<[](\w+)/.exec(usage)?.[1];
  return program.command(usage, summary, (command) => {
    const withOptions = command.options(yargsOptions(name)).example(examples);
    return positional
      ? withOptions.positional(positional, { type: "string", describe: operands.describe })
      : withOptions;
  });
}

function yargsOptions(command: Command): Record<string, Options> {
  return Object.fromEntries(
    flagKeysOf(command).map((key) => {
      const option = optionOf(key);
      const shown = defaultOf(key, command) ?? option.defaultText;
      const variables = [variableOf(key), option.variable].filter((name) => name !== undefined).join(", ");
      return [
        flagOf(key),
        {
          type: option.boolean ? "boolean" : "string",
          array: option.list,
          group: GROUP_TITLES[option.group],
          describe: `${option.help}${shown === undefined ? "" : ` [${shown}]`} (${variables})`,
        } satisfies Options,
      ];
    }),
  );
}
