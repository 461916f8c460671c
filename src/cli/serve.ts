import { setTimeout as sleep } from "node:timers/promises";
import { type Daemon, start } from "../daemon.js";
import type { CommandContext } from "./commands.js";
import { EXIT, type ExitCode } from "./exit-code.js";

/** Milliseconds: Ctrl-C and timeout(1) signal a process and its group, which arrives as two signals and is meant as one. */
const ONE_SIGNAL = 100;

/** Runs the daemon until a signal or an obeyed KILL; a second signal ends it at once. */
export async function serve({ config, io, log }: CommandContext): Promise<ExitCode> {
  let stop: (why: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  let daemon: Daemon | undefined;
  let ending: { readonly why: string; readonly since: number } | undefined;
  const end = (why: string) => {
    ending = { why, since: performance.now() };
    stop(why);
  };
  // To the end of the process: a signal that comes when all is done must not end it another way.
  io.onSignal((signal) => {
    if (signal === "SIGHUP") {
      daemon?.reload();
      return;
    }
    if (ending?.why === signal && performance.now() - ending.since < ONE_SIGNAL) return;
    if (ending) {
      log.warn({ signal }, "second signal: ending at once");
      process.exit(EXIT.done);
    }
    end(signal);
  });
  const notify = async (state: "READY=1" | "STOPPING=1") => {
    if (io.env.NOTIFY_SOCKET) (await import("./systemd.js")).notifySystemd(state, io.env, log);
  };
  daemon = await start(config, { log, onKill: () => end("KILL request") });
  log.info({ addresses: daemon.addresses, port: daemon.port, dns: daemon.dnsAddress }, "ready");
  await notify("READY=1");
  const why = await stopped;
  log.info({ why, nodes: daemon.registry.size }, "stopping");
  await notify("STOPPING=1");
  await daemon.close();
  log.info("stopped");
  // While a process ends it obeys signals again: the second of two would end it with another code than 0.
  await sleep(Math.max(0, ONE_SIGNAL - (performance.now() - (ending?.since ?? 0))));
  return EXIT.done;
}
