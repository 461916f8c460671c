import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Config, ConfigInput } from "../config/config.js";
import { flagOf, OPTION_KEYS, optionOf } from "../config/options.js";
import { createLogger } from "../daemon/logger.js";
import { ConfigError, describeError, SrvEpmdError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/files.js";
import { nearest } from "../text.js";
import { version } from "../version.js";
import { COMMANDS, type CommandDefinition } from "./commands.js";
import { complain, EXIT, type ExitCode, type Io } from "./io.js";
import { parseArguments } from "./parse.js";

const HELP_FLAGS = new Set(["--help", "-h", "--help-all"]);
const VERSION_FLAGS = new Set(["--version", "-V"]);

/** Runs a command line; complaints go to stderr. @param args without `node` and the script */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const [word, ...others] = args;
    const command = COMMANDS.find(({ name }) => name === word);
    if (word === "--completions") {
      const { completions } = await import("./completion.js");
      io.stdout(`${completions(others).join("\n")}\n`);
      return EXIT.done;
    }
    if (args.some((arg) => HELP_FLAGS.has(arg))) {
      if (word !== undefined && !word.startsWith("-") && !WORDS.includes(word)) throw unknownCommand(args);
      const { helpText } = await import("./help.js");
      io.stdout(`${helpText(word, args.includes("--help-all"), io.columns)}\n`);
      return EXIT.done;
    }
    if (args.some((arg) => VERSION_FLAGS.has(arg))) {
      io.stdout(`${version}\n`);
      return EXIT.done;
    }
    if (word === "completion") {
      const { completionScript, loginShell } = await import("./completion.js");
      io.stdout(completionScript(others[0] ?? loginShell(io.env)));
      return EXIT.done;
    }
    if (word === "help") {
      const { manual } = await import("./manual.js");
      return await manual(others, io);
    }
    if (!command) throw unknownCommand(args);
    return await execute(command, others, io);
  } catch (error) {
    return fail(error, io, asksForJson(args, io.env));
  }
}

/** Whether a user has asked for JSON: before the options are read, or when they cannot be read, errors are sentences otherwise. */
function asksForJson(args: readonly string[], env: Io["env"]): boolean {
  const flag = args.findLastIndex((arg) => /^--log-format(=|$)/.test(arg));
  if (flag < 0) return env.SRV_EPMD_LOG_FORMAT === "json";
  return args[flag] === "--log-format=json" || (args[flag] === "--log-format" && args[flag + 1] === "json");
}

/** Writes why the program ends: as a log line in JSON, or as a sentence. @returns its exit code */
function fail(error: unknown, io: Io, asJson: boolean): ExitCode {
  // Our own messages are whole sentences, causes included.
  const message = error instanceof SrvEpmdError ? error.message : describeError(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (asJson) createLogger({ level: "fatal", format: "json", write: io.stderr }).fatal({ code }, message);
  else complain(io, message);
  return error instanceof ConfigError ? EXIT.usage : EXIT.unavailable;
}

/** What may stand first on the command line. */
const WORDS: readonly string[] = [...COMMANDS.map(({ name }) => name), "help", "completion"];

function unknownCommand([word, ...others]: readonly string[]): ConfigError {
  const known = `give one of ${WORDS.join(", ")}`;
  if (word === undefined) return new ConfigError("CONFIG_UNKNOWN", `no command; ${known}`);
  const late = word.startsWith("-") ? others.find((other) => WORDS.includes(other)) : undefined;
  const meant = late ?? nearest(word, [...WORDS, ...HELP_FLAGS, ...VERSION_FLAGS]);
  const hint = late === undefined ? `was ${meant} meant?` : `${late} comes before its options:`;
  return new ConfigError(
    "CONFIG_UNKNOWN",
    `${JSON.stringify(word)} is not a command; ${meant === undefined ? known : `${hint} see srv-epmd --help`}`,
  );
}

async function execute(command: CommandDefinition, args: readonly string[], io: Io): Promise<ExitCode> {
  const { flags, operands } = parseArguments(command, args);
  const path = typeof flags.config === "string" ? flags.config : io.env.SRV_EPMD_CONFIG;
  const file = path ? await readConfigFile(path) : undefined;
  const input = { command: command.name, flags, env: io.env, ...(file && { file }) };
  const { configure, missingLine, sayBeside, useOfDaemon } = await import("./as-daemon.js");
  const use = useOfDaemon(input, operands);
  let configured = await configure(input, use);
  const { config, warnings, remarks } = configured;
  const format = config.logFormat ?? (io.stderrIsTerminal ? "pretty" : "json");
  const log = createLogger({
    level: config.logLevel,
    format,
    write: io.stderr,
  });
  for (const warning of [...warnings, ...(await exposedSecrets(config, file))]) log.warn(warning);
  for (const remark of remarks) log.debug(remark);
  sayBeside({ config, io, log }, configured.line ?? (await missingLine(configured, { command: command.name, use })));
  const askAgain = async () => {
    if (!configured.missing?.mayCome) return undefined;
    configured = await configure(input, use);
    sayBeside({ config, io, log }, configured.line);
    return configured.missing ? undefined : configured.config;
  };
  const runCommand = await command.load();
  return runCommand({ config, operands, io, log, askAgain }).catch((error: unknown) =>
    // The stderr of a service is its log, and JSON unless it is a terminal.
    fail(error, io, (command.isService ? format : config.logFormat) === "json"),
  );
}

/** Reads `--config`: YAML by its ending, else JSON. @throws ConfigError CONFIG_FILE */
async function readConfigFile(path: string): Promise<NonNullable<ConfigInput["file"]>> {
  try {
    const text = await readBounded(path, { limit: MEBIBYTE, orPipe: true });
    return { path, contents: /\.ya?ml$/i.test(path) ? (await import("./yaml.js")).parseYaml(text) : JSON.parse(text) };
  } catch (error) {
    throw new ConfigError("CONFIG_FILE", `--config: cannot use ${path}: ${describeError(error)}`, { cause: error });
  }
}

/** Bits of st_mode for users who neither own a file nor are in its group. */
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** Complaints about files with a secret that every user of this machine may read. @param file of `--config` */
async function exposedSecrets(config: Config, file?: ConfigInput["file"]): Promise<string[]> {
  const secretKeys = OPTION_KEYS.filter((key) => optionOf(key).secret).map(flagOf);
  const hasSecret = secretKeys.some((key) => Object.hasOwn(Object(file?.contents), key));
  const secrets = [
    { flag: "--consul-token-file", path: config.consulTokenFile },
    { flag: "--consul-bearer-token-file", path: config.consulBearerTokenFile },
    { flag: "CONSUL_CLIENT_KEY", path: config.consulKey },
    { flag: "--nomad-token-file", path: config.nomadTokenFile },
    { flag: "NOMAD_CLIENT_KEY", path: config.nomadKey },
    { flag: "--cookie-file", path: config.cookieFile },
    { flag: "--config", path: hasSecret ? file?.path : undefined },
  ];
  const complaints = secrets.map(async ({ flag, path }) => {
    // Nobody can choose the modes of the files that Nomad writes into a task's folder of secrets.
    const { secretsDir } = config.nomad;
    const isNomads = secretsDir !== undefined && path?.startsWith(`${secretsDir}/`);
    if (path === undefined || isNomads || !(await othersMayRead(path))) return undefined;
    return `${flag}: every user of this machine may read ${path}, and act as srv-epmd with what is in it: chmod o-r ${path}`;
  });
  return (await Promise.all(complaints)).filter((complaint) => complaint !== undefined);
}

/** Whether others may read the file and enter all folders above it. False for a missing file: its reader reports that. */
async function othersMayRead(path: string): Promise<boolean> {
  try {
    const file = await realpath(path);
    if (((await stat(file)).mode & OTHERS_READ) === 0) return false;
    for (let folder = dirname(file); ; folder = dirname(folder)) {
      if (((await stat(folder)).mode & OTHERS_ENTER) === 0) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    return false;
  }
}
