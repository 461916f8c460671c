import { run } from "../../src/cli/program.js";
import { askingNoDaemon } from "./environment.js";
import { waitFor } from "./wait-for.js";

export interface Terminal {
  readonly env?: NodeJS.ProcessEnv;
  readonly stdoutIsTerminal?: boolean;
  readonly columns?: number;
}

export interface RunningCommand {
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly done: Promise<number>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** The reader of the results goes away. */
  readonly hangUp: () => void;
  readonly waitForOutput: (pattern: RegExp) => Promise<RegExpExecArray>;
}

/** Starts a command line in this process. */
export function startCommand(
  args: readonly string[],
  { env = {}, columns = 300, ...terminal }: Terminal = {},
): RunningCommand {
  const out: string[] = [];
  const err: string[] = [];
  const listeners: ((signal: NodeJS.Signals) => void)[] = [];
  const unread = new AbortController();
  const done = run(args, {
    ...terminal,
    env: { ...askingNoDaemon(args), ...env },
    columns,
    program: [],
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    stderrIsTerminal: false,
    unread: unread.signal,
    onSignal: (listener) => listeners.push(listener),
  });
  const stdout = () => out.join("");
  return {
    stdout,
    stderr: () => err.join(""),
    done,
    signal: (signal) => {
      for (const listener of listeners) listener(signal);
    },
    hangUp: () => unread.abort(),
    waitForOutput: (pattern) =>
      waitFor(() => pattern.exec(stdout()), { what: `${pattern} in the output of ${args.join(" ")}` }),
  };
}

/** Runs a command line to its end. */
export async function runCommand(args: readonly string[], terminal: Terminal = {}) {
  const { done, stdout, stderr } = startCommand(args, terminal);
  const code = await done;
  return { code, stdout: stdout(), stderr: stderr() };
}
