import { printable } from "../text.js";
import type { Io } from "./io.js";

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
