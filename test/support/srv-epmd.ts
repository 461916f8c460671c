import { fileURLToPath } from "node:url";
import { type Child, type Exit, type Place, type RunResult, run, startChild } from "./child.js";
import { askingNoDaemon, cleanEnvironment } from "./environment.js";
import { waitFor } from "./wait-for.js";

/** The built program: the file that `npm install` puts on the user's PATH. */
export const BIN = fileURLToPath(new URL("../../dist/srv-epmd.cjs", import.meta.url));

export interface CommandOptions {
  /** Added to a clean environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly netns?: Place;
  readonly cwd?: string;
}

export interface DaemonOptions extends CommandOptions {
  /** Flags of `serve`. */
  readonly args?: readonly string[];
  /** 0, the default, takes any free one. */
  readonly port?: number;
  /** Flags of Node itself. */
  readonly nodeArgs?: readonly string[];
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string; readonly level?: string };

export interface Daemon {
  readonly child: Child;
  readonly port: number;
  /** Bound addresses as logged: `127.0.0.1:4369`. */
  readonly addresses: readonly string[];
  readonly log: () => LogLine[];
  readonly waitForLog: (matches: (line: LogLine) => boolean, what: string, timeout?: number) => Promise<LogLine>;
  /** SIGTERM unless another is given. @returns its exit, with `ms` counted from the signal */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Exit>;
  readonly kill: () => Promise<Exit>;
}

/** `srv-epmd serve`, ready; it serves no HTTP unless the test says where, for many run at once. @throws when it ends before, with its log */
export async function startDaemon({
  args = [],
  port = 0,
  nodeArgs = [],
  ...options
}: DaemonOptions = {}): Promise<Daemon> {
  const flags = ["serve", "--port", String(port), "--log-format", "json", ...args];
  const env = { ...(args.includes("--admin") ? {} : { SRV_EPMD_ADMIN: "none" }), ...options.env };
  const child = startChild(process.execPath, [...nodeArgs, BIN, ...flags], childOptions({ ...options, env }));
  const log = () => parseLog(child.stderr());
  const waitForLog: Daemon["waitForLog"] = async (matches, what, timeout = 10_000) => {
    const found = await waitFor(() => log().find(matches) ?? (child.hasExited() ? "ended" : undefined), {
      timeout,
      what,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${child.stderr()}`);
    });
    if (found !== "ended") return found;
    await child.exited;
    throw new Error(`srv-epmd ${flags.join(" ")} ended before ${what}:\n${child.stderr()}`);
  };
  try {
    const ready = await waitForLog((line) => line.msg === "ready", "the log line ready");
    const end = async (signal: NodeJS.Signals) => {
      const signalled = performance.now();
      const exit = await child.stop(signal);
      return { ...exit, ms: performance.now() - signalled };
    };
    return {
      child,
      port: ready.port as number,
      addresses: ready.addresses as string[],
      log,
      waitForLog,
      stop: (signal = "SIGTERM") => end(signal),
      kill: () => end("SIGKILL"),
    };
  } catch (error) {
    await child.kill();
    throw error;
  }
}

/** Any command of srv-epmd, to its end. On the host that all tests share it asks no daemon but one that is named. */
export function runCli(
  args: readonly string[],
  { input = "", ...options }: CommandOptions & { readonly input?: string; readonly timeout?: number } = {},
): Promise<RunResult> {
  const env = { ...(options.netns ? {} : askingNoDaemon(args)), ...options.env };
  return run(process.execPath, [BIN, ...args], { ...childOptions({ ...options, env }), input, ...timeoutOf(options) });
}

function childOptions({ env, netns, cwd }: CommandOptions) {
  return { env: cleanEnvironment(env), ...(netns && { netns }), ...(cwd !== undefined && { cwd }) };
}

function timeoutOf({ timeout }: { readonly timeout?: number }) {
  return timeout === undefined ? {} : { timeout };
}

function parseLog(text: string): LogLine[] {
  // The last piece may be half a line.
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => (line.startsWith("{") ? (JSON.parse(line) as LogLine) : { msg: line }));
}
