import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../daemon/logger.js";
import { EXIT, type Io } from "./io.js";

/** Milliseconds: Ctrl-C and timeout(1) signal both a process and its group; two signals within this time are one. */
const ONE_SIGNAL = 100;

interface StopSignal {
  /** Settles with the first SIGTERM or SIGINT. */
  readonly stopped: Promise<string>;
  /** To be awaited at the end: a process that is ending obeys signals again, and the second of two would change its exit code. */
  readonly settle: () => Promise<void>;
}

/** Listens to signals until the process ends; a second SIGTERM or SIGINT ends it at once. @param onHangUp called on SIGHUP */
export function onStopSignal(io: Pick<Io, "onSignal">, log: Logger, onHangUp: () => void): StopSignal {
  let ending: { readonly signal: string; readonly since: number } | undefined;
  let stop: (signal: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  io.onSignal((signal) => {
    if (signal === "SIGHUP") return onHangUp();
    if (ending?.signal === signal && performance.now() - ending.since < ONE_SIGNAL) return;
    if (ending) {
      log.warn({ signal }, "second signal: ending at once");
      process.exit(EXIT.done);
    }
    ending = { signal, since: performance.now() };
    stop(signal);
  });
  return {
    stopped,
    settle: () => sleep(Math.max(0, ONE_SIGNAL - (performance.now() - (ending?.since ?? Number.NEGATIVE_INFINITY)))),
  };
}

/** What a command needs that goes on until a signal comes, or until nobody reads its output any more. */
interface Stoppable extends Pick<StopSignal, "settle"> {
  /** The result; undefined when the stop comes first. */
  readonly unlessStopped: <T>(work: Promise<T>) => Promise<T | undefined>;
  /** Waits until a moment on the clock of `performance`, or until the stop. */
  readonly pause: (until: number) => Promise<void>;
}

/** @param stop aborted by a signal, and when the output has no reader */
export function untilStopped(stop: AbortController, io: Pick<Io, "onSignal" | "unread">, log: Logger): Stoppable {
  const { signal } = stop;
  const end = () => stop.abort();
  const { stopped, settle } = onStopSignal(io, log, end);
  void stopped.then(end);
  io.unread?.addEventListener("abort", end);
  const ended = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined));
  });
  return {
    settle,
    unlessStopped: (work) => Promise.race([work, ended]),
    pause: (until) => sleep(Math.max(0, until - performance.now()), undefined, { signal }).catch(() => undefined),
  };
}

/**
 * Tells systemd about a change of state, as sd_notify(3) does, when it started this process with NOTIFY_SOCKET. Node has no
 * unix datagram sockets, so systemd-notify sends the message; the unit needs NotifyAccess=all. The state is an assignment,
 * because --stopping came with systemd 253.
 */
export async function notify(
  state: "READY=1" | "STOPPING=1",
  { env: { NOTIFY_SOCKET, PATH } }: Pick<Io, "env">,
  log: Logger,
): Promise<void> {
  if (!NOTIFY_SOCKET) return;
  const { spawn } = await import("node:child_process");
  spawn("systemd-notify", [state], { env: { PATH, NOTIFY_SOCKET }, stdio: "ignore" })
    .on("error", (error) => log.warn({ err: error }, "systemd-notify cannot be run"))
    .unref();
}
