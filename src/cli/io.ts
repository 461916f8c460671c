import type { Environment } from "../core/nomad.js";

/** What a command touches of the process; tests pass their own. */
export interface Io {
  readonly env: Environment;
  /** Results. */
  readonly stdout: (text: string) => void;
  /** Logs and complaints. */
  readonly stderr: (text: string) => void;
  readonly stderrIsTerminal: boolean;
  /** Width of the terminal that results go to. */
  readonly columns: number;
  /** SIGTERM, SIGINT and SIGHUP, to the end of the process. */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => void;
}
