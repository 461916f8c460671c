import { loadConfig } from "../config/config.js";
import { createLogger } from "../daemon/logger.js";
import { ConfigError, describeError, SrvEpmdError } from "../errors.js";
import { exposedSecrets } from "../os/secret-files.js";
import { COMMANDS, type CommandDefinition } from "./commands.js";
import { readConfigFile } from "./config-file.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import type { Io } from "./io.js";
import { complain } from "./output.js";
import { parseArguments } from "./parse.js";

const HELP_WORDS = new Set(["--help", "-h", "--version", "-V", "completion"]);

/** Runs a command line; complaints go to stderr. @param args without `node` and the script */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const command = COMMANDS.find(({ name }) => name === args[0]);
    if (args[0] === "--get-yargs-completions") {
      const { completions } = await import("./help.js");
      io.stdout(`${completions(args.slice(1))}\n`);
      return EXIT.done;
    }
    if (args.some((arg, index) => HELP_WORDS.has(arg) && (index === 0 || arg.startsWith("-")))) {
      const { helpText } = await import("./help.js");
      io.stdout(`${await helpText(args, io.columns)}\n`);
      return EXIT.done;
    }
    if (args[0] === "help") {
      const { manual } = await import("./manual.js");
      return await manual(args.slice(1), io);
    }
    if (!command) throw new ConfigError("CONFIG_UNKNOWN", unknownCommand(args[0]));
    return await execute(command, args.slice(1), io);
  } catch (error) {
    return fail(error, io, asksForJson(args, io.env));
  }
}

/** Before the options are read, or when they cannot be. */
function asksForJson(args: readonly string[], env: Io["env"]): boolean {
  const flag = args.findLastIndex((arg) => /^--log-format(=|$)/.test(arg));
  if (flag < 0) return env.SRV_EPMD_LOG_FORMAT === "json";
  return args[flag] === "--log-format=json" || (args[flag] === "--log-format" && args[flag + 1] === "json");
}

/** Says why the program ends, in the format of the log where somebody has asked for JSON. @returns its exit code */
function fail(error: unknown, io: Io, asJson: boolean): ExitCode {
  // Our own messages are whole sentences, causes included.
  const message = error instanceof SrvEpmdError ? error.message : describeError(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (asJson) createLogger({ level: "fatal", format: "json", write: io.stderr }).fatal({ code }, message);
  else complain(io, message);
  return error instanceof ConfigError ? EXIT.usage : EXIT.unavailable;
}

function unknownCommand(word: string | undefined): string {
  const known = COMMANDS.map(({ name }) => name).join(", ");
  return `${word === undefined ? "no command" : `${JSON.stringify(word)} is not a command`}; give one of ${known}, help`;
}

async function execute(command: CommandDefinition, args: readonly string[], io: Io): Promise<ExitCode> {
  const { flags, operands } = parseArguments(command, args);
  const path = typeof flags.config === "string" ? flags.config : io.env.SRV_EPMD_CONFIG;
  const file = path ? await readConfigFile(path) : undefined;
  const { config, warnings } = loadConfig({ command: command.name, flags, env: io.env, ...(file && { file }) });
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat ?? (io.stderrIsTerminal ? "pretty" : "json"),
    write: io.stderr,
  });
  for (const warning of [...warnings, ...(await exposedSecrets(config, file))]) log.warn(warning);
  const runCommand = await command.load();
  try {
    return await runCommand({ config, operands, io, log });
  } catch (error) {
    return fail(error, io, config.logFormat === "json");
  }
}
