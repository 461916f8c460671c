import type { Config } from "../config/config.js";
import type { Environment } from "../config/nomad.js";
import type { Logger } from "../daemon/logger.js";
import { printable, printableJson } from "../text.js";

/** Exit codes of every command; part of the contract with scripts. */
export const EXIT = {
  done: 0,
  /** Not found, check failed, time over. */
  notFound: 1,
  /** Usage or configuration. */
  usage: 2,
  /** DNS, Consul, EPMD or the port is not available. */
  unavailable: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Of several results the worst counts: unavailable, then not found. */
export function worst(codes: readonly ExitCode[]): ExitCode {
  return Math.max(EXIT.done, ...codes) as ExitCode;
}

/** What a command touches of the process; tests pass their own. */
export interface Io {
  readonly env: Environment;
  /** Starts this program again, before its arguments. */
  readonly program: readonly string[];
  /** Results. */
  readonly stdout: (text: string) => void;
  /** Logs and complaints. */
  readonly stderr: (text: string) => void;
  readonly stderrIsTerminal: boolean;
  /** Results may have colours and be written in place. */
  readonly stdoutIsTerminal?: boolean;
  /** Aborted when the reader of the results has gone. */
  readonly unread?: AbortSignal;
  /** Width of the terminal that results go to. */
  readonly columns: number;
  /** SIGTERM, SIGINT and SIGHUP, to the end of the process. */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => void;
}

/** What a command runs with. */
export interface CommandContext {
  readonly config: Config;
  /** Positional arguments, as written. */
  readonly operands: readonly string[];
  readonly io: Io;
  readonly log: Logger;
  /** Asks for the settings of the daemon here again, where nothing listened for that question. @returns undefined: nothing has changed */
  readonly askAgain: () => Promise<Config | undefined>;
}

/** A result for programs, on a line of its own. */
export function writeJson({ stdout }: Pick<Io, "stdout">, result: object): void {
  stdout(`${printableJson(result)}\n`);
}

/** A sentence for people; names and reasons in it come from elsewhere, so their control characters are escaped. */
export function complain({ stderr }: Pick<Io, "stderr">, sentence: string): void {
  stderr(`${printable(`srv-epmd: ${sentence}`)}\n`);
}

export type Tone = "good" | "bad" | "doubtful" | "quiet";

/** A line of a result, and what it means. */
export interface Line {
  readonly text: string;
  readonly tone?: Tone | undefined;
}

/** ECMA-48 SGR: green, red, yellow, faint. */
const SGR: Record<Tone, number> = { good: 32, bad: 31, doubtful: 33, quiet: 2 };

/** Colours are for a terminal, unless NO_COLOR (no-color.org) or TERM=dumb says otherwise. */
export function isColoured({ env, stdoutIsTerminal = false }: Pick<Io, "env" | "stdoutIsTerminal">): boolean {
  return stdoutIsTerminal && !env.NO_COLOR && env.TERM !== "dumb";
}

/** Lines as they are written, in colour on a terminal. */
export function painter(io: Pick<Io, "env" | "stdoutIsTerminal">): (line: Line) => string {
  const coloured = isColoured(io);
  // Control characters in a name are escaped before our own are added.
  return ({ text, tone }) => (coloured && tone ? `\x1b[${SGR[tone]}m${printable(text)}\x1b[0m` : printable(text));
}

/** Columns: a narrower text is not wrapped. */
const NARROWEST = 30;

/** A line in parts no wider than a terminal, broken between words; what follows stands below where its text begins. */
export function wrap(text: string, columns: number): string[] {
  // In a line with columns, the text begins after the last run of two or more blanks.
  const indent = /^(.* {2,}| *)/.exec(text)?.[0].length ?? 0;
  const room = columns - indent;
  if (text.length <= columns || room < NARROWEST) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.slice(indent).split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((part, index) => `${index === 0 ? text.slice(0, indent) : " ".repeat(indent)}${part}`);
}

/** Lines no wider than the terminal, in colour there. */
export function painted(lines: readonly Line[], io: Pick<Io, "env" | "stdoutIsTerminal" | "columns">): string[] {
  const width = io.stdoutIsTerminal ? io.columns : Number.POSITIVE_INFINITY;
  const paint = painter(io);
  return lines.flatMap(({ text, tone }) => wrap(printable(text), width).map((part) => paint({ text: part, tone })));
}
