import { type Logger, pino } from "pino";
import type { LogLevel } from "../config/values.js";
import { describeError } from "../errors.js";
import { escapeJson, printable } from "../text.js";

export type { Logger } from "pino";

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "json" | "pretty";
  /** Takes one line with its newline. */
  readonly write: (line: string) => void;
}

/** A log of JSON lines for programs, or of readable lines for a terminal. The key of an Error is `err`. */
export function createLogger({ level, format, write }: LoggerOptions): Logger {
  const show = format === "pretty" ? prettyLine : (line: string) => `${escapeJson(line.trimEnd())}\n`;
  const sink = { write: (line: string) => write(show(line)) };
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {
        // No other property of an error: clients add requests and headers to it, which may hold a token.
        err: (error: unknown) => ({
          message: describeError(error),
          ...((level === "debug" || level === "trace") && error instanceof Error && { stack: error.stack }),
        }),
      },
    },
    sink,
  );
}

function prettyLine(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === "string" && PLAIN.test(value) ? value : JSON.stringify(value)}`,
  );
  const problem = (err as { message?: string } | undefined)?.message;
  const clock = String(time).slice(11, 23);
  const parts = [clock, String(level).toUpperCase().padEnd(5), msg, ...rest, problem && `(${problem})`];
  return `${printable(parts.filter(Boolean).join(" "))}\n`;
}

const PLAIN = /^[^\s"=]+$/;
