import { spawn } from "node:child_process";
import { ConfigError } from "../errors.js";
import { titleOf } from "../help/markdown.js";
import { forTerminal } from "../help/terminal.js";
import { TOPIC_NAMES, type TopicName } from "../help/topic-names.js";
import { TOPICS } from "../help/topics.js";
import { nearest } from "../text.js";
import { COMMANDS } from "./commands.js";
import { helpText } from "./help.js";
import { EXIT, type ExitCode, type Io, isColoured } from "./io.js";

const isTopic = (word: string): word is TopicName => TOPIC_NAMES.some((name) => name === word);

/** `help`: the list of topics, or one topic; of a command that has no topic its options. It reads no configuration, because that may be what is wrong. */
export async function manual(args: readonly string[], io: Io): Promise<ExitCode> {
  const [word, another] = args;
  if (another !== undefined) {
    throw new ConfigError(
      "CONFIG_UNKNOWN",
      `${JSON.stringify(another)} is one argument too many; usage: srv-epmd help [topic]`,
    );
  }
  if (word === undefined) {
    io.stdout(contents());
  } else if (isTopic(word)) {
    await page(forTerminal(TOPICS[word], { columns: io.columns, coloured: isColoured(io) }), io);
  } else if (COMMANDS.some(({ name }) => name === word)) {
    await page(`${helpText(word, false, io.columns)}\n`, io);
  } else {
    throw new ConfigError("CONFIG_UNKNOWN", unknownTopic(word));
  }
  return EXIT.done;
}

function contents(): string {
  const topics = TOPIC_NAMES.map((name) => `  ${name.padEnd(13)}${titleOf(TOPICS[name]).summary}\n`);
  return `srv-epmd help <topic> prints one of these, srv-epmd <command> --help the options
of a command, srv-epmd --help the commands.

${topics.join("")}`;
}

function unknownTopic(word: string): string {
  const meant = nearest(word, [...TOPIC_NAMES, ...COMMANDS.map(({ name }) => name)]);
  const hint = meant === undefined ? ";" : `; was ${meant} meant?`;
  return `${JSON.stringify(word)} is not a topic${hint} see srv-epmd help`;
}

/** As `man` does; a container may have none. */
const DEFAULT_PAGER = "if command -v less >/dev/null; then exec less; else exec cat; fi";

/** Writes a long text: through $PAGER or less on a terminal, as it is anywhere else. */
export async function page(text: string, { env, stdout, stdoutIsTerminal = false, onSignal }: Io): Promise<void> {
  const pager = env.PAGER ?? DEFAULT_PAGER;
  if (!stdoutIsTerminal || env.TERM === "dumb" || pager === "") return stdout(text);
  // less: -R shows colours, -F ends at once when the text fits on the screen, -X does not clear it.
  const less = `${env.LESS ?? "-F -X"} -R`;
  // Ctrl-C is for the pager: if we ended, it would lose its terminal. Before the start, since the pager may run first.
  onSignal(() => undefined);
  const child = spawn("sh", ["-c", pager], { stdio: ["pipe", "inherit", "inherit"], env: { ...env, LESS: less } });
  const ended = new Promise<boolean>((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", () => resolve(true));
  });
  // A pager that is left early closes its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(text);
  if (!(await ended)) stdout(text);
}
