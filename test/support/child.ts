import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { waitFor } from "./wait-for.js";

/** Where a command runs: a network namespace made by createHosts. */
export interface Place {
  /** Program and arguments that run the command there. */
  readonly wrap: (command: string, args: readonly string[]) => readonly [string, ...string[]];
}

export interface ChildOptions {
  /** The whole environment; this process's own when not given. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly netns?: Place;
}

export interface Exit {
  /** Exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Milliseconds since the start. */
  readonly ms: number;
}

export interface Child {
  readonly pid: number;
  /** All that came so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly write: (text: string) => void;
  readonly endInput: () => void;
  readonly exited: Promise<Exit>;
  readonly hasExited: () => boolean;
  /** @throws when it exits or the time (10 s) is over first, with all output */
  readonly waitForOutput: (pattern: RegExp, timeout?: number) => Promise<RegExpExecArray>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** SIGTERM, or the signal given; SIGKILL when it is still there after 5 s. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Exit>;
  readonly kill: () => Promise<Exit>;
}

const running = new Set<Child>();

process.on("exit", () => {
  for (const child of running) child.signal("SIGKILL");
});

/** Kills whatever is left; the setup file calls it after each test file. */
export async function stopChildren(): Promise<void> {
  await Promise.all(Array.from(running, (child) => child.kill()));
}

/** `setpriv --pdeathsig`: the kernel kills the child even when this process is killed. */
const SETPRIV = "/usr/bin/setpriv";

/** Milliseconds that the output of an ended process may take to arrive. */
const OUTPUT_GRACE = 2_000;

export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const inPlace = options.netns?.wrap(command, args) ?? [command, ...args];
  const [program, ...rest] = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", "--", ...inPlace] : inPlace;
  const started = performance.now();
  const spawned = spawn(program, rest, { env: options.env ?? process.env, ...(options.cwd && { cwd: options.cwd }) });
  const stdout = collect(spawned.stdout);
  const stderr = collect(spawned.stderr);
  // Writing to a child that has gone is EPIPE: its exit tells more.
  spawned.stdin.on("error", () => undefined);

  const state: { exit?: Exit } = {};
  const exited = new Promise<Exit>((resolve, reject) => {
    spawned.once("error", (error) => {
      running.delete(child);
      reject(error);
    });
    spawned.once("exit", (code, signal) => {
      running.delete(child);
      const exit = { code, signal, ms: performance.now() - started };
      state.exit = exit;
      // Its output may still be on the way; but a grandchild may hold the pipe open for ever.
      const timer = setTimeout(() => resolve(exit), OUTPUT_GRACE);
      spawned.once("close", () => {
        clearTimeout(timer);
        resolve(exit);
      });
    });
  });
  exited.catch(() => undefined);

  const describe = () => `${[command, ...args].join(" ").slice(0, 200)}\nstdout: ${stdout()}\nstderr: ${stderr()}`;
  const stop = async (signal: NodeJS.Signals) => {
    spawned.kill(signal);
    const timer = setTimeout(() => spawned.kill("SIGKILL"), 5_000);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  const child: Child = {
    pid: spawned.pid ?? -1,
    stdout,
    stderr,
    write: (text) => spawned.stdin.write(text),
    endInput: () => spawned.stdin.end(),
    exited,
    hasExited: () => state.exit !== undefined,
    waitForOutput: async (pattern, timeout = 10_000) => {
      const what = `${pattern} in the output of ${command}`;
      const found = await waitFor(
        () => pattern.exec(stdout()) ?? pattern.exec(stderr()) ?? (state.exit ? "exited" : undefined),
        { timeout, what },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${describe()}`);
      });
      if (found === "exited") {
        await exited;
        const late = pattern.exec(stdout()) ?? pattern.exec(stderr());
        if (late) return late;
        throw new Error(`ended with ${state.exit?.code ?? state.exit?.signal} before ${what}: ${describe()}`);
      }
      return found;
    },
    signal: (signal) => void spawned.kill(signal),
    stop: (signal = "SIGTERM") => stop(signal),
    kill: () => stop("SIGKILL"),
  };
  if (spawned.pid !== undefined) running.add(child);
  return child;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. @param timeout milliseconds, then it is killed and this throws */
export async function run(
  command: string,
  args: readonly string[],
  { input = "", timeout = 20_000, ...options }: ChildOptions & { input?: string; timeout?: number } = {},
): Promise<RunResult> {
  const child = startChild(command, args, options);
  child.write(input);
  child.endInput();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.signal("SIGKILL");
  }, timeout);
  const { code } = await child.exited.finally(() => clearTimeout(timer));
  const result = { code, stdout: child.stdout(), stderr: child.stderr() };
  if (late) throw new Error(`${command} ${args.join(" ")} ran longer than ${timeout} ms: ${JSON.stringify(result)}`);
  return result;
}

function collect(stream: ChildProcessWithoutNullStreams["stdout"]): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
