import { createLogger, type Logger } from "../../src/daemon/logger.js";

export interface LogLines {
  readonly log: Logger;
  readonly lines: Record<string, unknown>[];
  /** Messages of lines at this level or above it, in order. */
  messages(level?: "info" | "warn" | "error"): string[];
}

const SEVERITY = ["trace", "debug", "info", "warn", "error", "fatal"];

/** A logger whose lines a test can read. */
export function collectLog(): LogLines {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
  return {
    log: createLogger({ level: "debug", format: "json", write }),
    lines,
    messages: (level = "info") =>
      lines
        .filter((line) => SEVERITY.indexOf(String(line.level)) >= SEVERITY.indexOf(level))
        .map((line) => String(line.msg)),
  };
}
