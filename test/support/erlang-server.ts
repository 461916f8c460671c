import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, type ChildOptions, type Exit, type Place, type RunResult, run, startChild } from "./child.js";
import { cleanEnvironment } from "./environment.js";
import { DEFAULT_COOKIE, erlCall } from "./erlang.js";
import { endProcessesOf, signalProcesses, watchHome } from "./home-processes.js";
import { removeFolder, temporaryFolder } from "./temporary.js";
import { sharedLibraries, type UnpackedServer } from "./unpacked.js";
import { waitFor } from "./wait-for.js";

export interface ServerOptions {
  /** Long node name: `n1@rmq.service.consul`. */
  readonly name: string;
  /** Holds all its state and is its home; kept when it ends, so that it can be started again from it, elsewhere too. A temporary one when not given. */
  readonly dir?: string;
  /** The same for all of a cluster. */
  readonly cookie?: string;
  /** Becomes ERL_EPMD_PORT. */
  readonly epmdPort?: number;
  /** Over what it would have; `ERL_ZFLAGS` is `-start_epmd false` unless given. */
  readonly env?: NodeJS.ProcessEnv;
  readonly netns?: Place;
  /** Milliseconds that it may take to be ready; 60 s. */
  readonly timeout?: number;
}

/** A server written in Erlang, in the foreground. It ends with the test file, whatever it started included. */
export interface ErlangServer {
  readonly name: string;
  readonly dir: string;
  readonly child: Child;
  /** Milliseconds from the start until it was ready. */
  readonly readyAfter: number;
  /** What it logged since it was started; after `stop` and `kill` too. */
  readonly log: () => string;
  /** Its command line tool, from the same host with the same environment. */
  readonly ctl: (...args: string[]) => Promise<RunResult>;
  /**
   * Evaluates expressions (`nodes()`, no final dot needed) in it by `erl_call`, which asks the EPMD for it, and gives the
   * last value as text. Much quicker than `ctl`. @throws on an exception there
   */
  readonly eval: (expressions: string) => Promise<string>;
  /** SIGTERM, upon which it shuts down in order; SIGKILL when it is still there after 20 s. */
  readonly stop: () => Promise<Exit>;
  /** SIGKILL, to all of it. */
  readonly kill: () => Promise<Exit>;
}

/** What differs between servers. */
export interface ServerProgram {
  readonly command: readonly [string, ...string[]];
  readonly ctl: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** In the log, when it serves. */
  readonly ready: RegExp;
}

/** Milliseconds that an orderly shutdown may take. */
const SHUTDOWN = 20_000;
/** Above what the tools give up after on their own (60 s), so that a test sees what they say. */
const CTL_TIMEOUT = 70_000;

export async function startServer(
  server: UnpackedServer,
  options: ServerOptions,
  prepare: (dir: string) => Promise<ServerProgram>,
): Promise<ErlangServer> {
  const { name, cookie = DEFAULT_COOKIE, epmdPort, netns, timeout = 60_000 } = options;
  const dir = options.dir ?? (await temporaryFolder(name.replace(/@.*/, "")));
  await mkdir(dir, { recursive: true });
  const program = await prepare(dir);
  await mkdir(dirname(program.logFile), { recursive: true });
  // A VM refuses a cookie file that others may read.
  await writeFile(join(dir, ".erlang.cookie"), cookie, { mode: 0o600 });
  const env = cleanEnvironment({
    LANG: "C.UTF-8",
    ERL_CRASH_DUMP: "/dev/null",
    ERL_ZFLAGS: "-start_epmd false",
    // The scripts call `erl` by its name.
    PATH: `${dirname(server.otp.program("erl"))}:${process.env.PATH}`,
    LD_LIBRARY_PATH: sharedLibraries(server),
    ...(epmdPort !== undefined && { ERL_EPMD_PORT: String(epmdPort) }),
    ...program.env,
    ...options.env,
    // By this its processes are known.
    HOME: dir,
  });
  const where: ChildOptions = { env, cwd: dir, ...(netns && { netns }) };
  const before = existsSync(program.logFile) ? statSync(program.logFile).size : 0;
  const readLog = () => (existsSync(program.logFile) ? readFileSync(program.logFile).subarray(before).toString() : "");
  let lastLog: string | undefined;
  const log = () => lastLog ?? readLog();

  watchHome(dir);
  const started = performance.now();
  const [command, ...args] = program.command;
  const child = startChild(command, args, where);
  const swept = child.exited.finally(() => endProcessesOf(dir));
  swept.catch(() => undefined);
  const leave = async () => {
    const exit = await swept;
    lastLog = log();
    if (options.dir === undefined) await removeFolder(dir);
    return exit;
  };
  const kill = () => {
    // When it has ended, another may have been started from its folder.
    if (!child.hasExited()) signalProcesses(dir, "SIGKILL");
    return leave();
  };
  const isReady = () => (child.hasExited() ? "ended" : program.ready.test(log()) && "ready");
  const outcome = await waitFor(isReady, { timeout, what: `${name} to be ready`, interval: 50 }).catch(
    () => "late" as const,
  );
  if (outcome !== "ready") {
    const how = outcome === "late" ? `was not ready within ${timeout} ms` : "ended before it was ready";
    const said = `${name} ${how}\n${tail(child.stdout())}\n${tail(child.stderr())}\n${program.logFile}:\n${tail(log())}`;
    await kill();
    throw new Error(said);
  }
  const [ctl, ...ctlArgs] = program.ctl;
  return {
    name,
    dir,
    child,
    readyAfter: performance.now() - started,
    log,
    ctl: (...given) => run(ctl, [...ctlArgs, ...given], { ...where, timeout: CTL_TIMEOUT }),
    eval: async (expressions) => {
      // As text in Base64: `erl_call` itself would show a binary as a list of bytes.
      const value = `begin ${expressions.trim().replace(/\.$/, "")} end`;
      const input = `base64:encode_to_string(unicode:characters_to_binary(io_lib:format("~0tp", [${value}]))).\n`;
      const place = { ...(epmdPort !== undefined && { epmdPort }), ...(netns && { netns }) };
      const called = await erlCall({ name, cookie, ...place, args: ["-e"], input });
      const text = /^\{ok, "(.*)"\}\s*$/.exec(called.stdout)?.[1];
      if (text === undefined) throw new Error(`${name}: ${expressions}: ${called.stdout}${called.stderr}`);
      return Buffer.from(text, "base64").toString();
    },
    stop: async () => {
      if (child.hasExited()) return leave();
      // To the VM: the script that started it may not hand it on.
      signalProcesses(dir, "SIGTERM", "beam.smp");
      await Promise.race([child.exited, sleep(SHUTDOWN, undefined, { ref: false })]);
      return kill();
    },
    kill,
  };
}

function tail(text: string, lines = 25): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
