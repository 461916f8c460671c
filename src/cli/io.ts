import type { Environment } from "../config/nomad.js";

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
  /** Results go to somebody who can see colours and a cursor that moves. */
  readonly stdoutIsTerminal?: boolean;
  /** Aborted when the reader of the results has gone. */
  readonly unread?: AbortSignal;
  /** Width of the terminal that results go to. */
  readonly columns: number;
  /** SIGTERM, SIGINT and SIGHUP, to the end of the process. */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => void;
}
