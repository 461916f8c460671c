import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../daemon/logger.js";
import { EXIT, type Io } from "./io.js";

/** Milliseconds: Ctrl-C and timeout(1) signal a process and its group, which arrives as two signals and is meant as one. */
const ONE_SIGNAL = 100;

export interface StopSignal {
  /** Settles with the first SIGTERM or SIGINT. */
  readonly stopped: Promise<string>;
  /** To be awaited at the end: while a process ends it obeys signals again, and the second of two would change its exit code. */
  readonly settle: () => Promise<void>;
}

/** To the end of the process; a second signal ends it at once. SIGHUP is for the one who asks. */
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

/** Tells systemd, where it wants to know. */
export async function notify(state: "READY=1" | "STOPPING=1", { env }: Io, log: Logger): Promise<void> {
  if (env.NOTIFY_SOCKET) (await import("../os/systemd.js")).notifySystemd(state, env, log);
}
