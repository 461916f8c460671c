import { ConfigError } from "../errors.js";
import { forTerminal, titleOf } from "../help/terminal.js";
import { TOPIC_NAMES, type TopicName } from "../help/topic-names.js";
import { TOPICS } from "../help/topics.js";
import { nearest } from "../names/nearest.js";
import { COMMANDS } from "./commands.js";
import { helpText } from "./help.js";
import { EXIT, type ExitCode, type Io } from "./io.js";
import { isColoured } from "./lines.js";
import { page } from "./pager.js";

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
