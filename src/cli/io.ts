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
}

/** A result for programs, on a line of its own. */
export function writeJson({ stdout }: Pick<Io, "stdout">, result: object): void {
  stdout(`${printableJson(result)}\n`);
}

/** A sentence for people; names and reasons in it come from elsewhere, so their control characters are escaped. */
export function complain({ stderr }: Pick<Io, "stderr">, sentence: string): void {
  stderr(`${printable(`srv-epmd: ${sentence}`)}\n`);
}
