import { type Daemon, start } from "../daemon.js";
import type { CommandContext } from "./commands.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import { notifySystemd } from "./systemd.js";

/** Runs the daemon until a signal or an obeyed KILL; a second signal ends it at once. */
export async function serve({ config, io, log }: CommandContext): Promise<ExitCode> {
  let stop: (why: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  let daemon: Daemon | undefined;
  let stopping = false;
  const forget = io.onSignal((signal) => {
    if (signal === "SIGHUP") {
      daemon?.reload();
      return;
    }
    if (stopping) {
      log.warn({ signal }, "second signal: ending at once");
      process.exit(EXIT.done);
    }
    stopping = true;
    stop(signal);
  });
  try {
    daemon = await start(config, { log, onKill: () => stop("KILL request") });
    log.info({ addresses: daemon.addresses, port: daemon.port, dns: daemon.dnsAddress }, "ready");
    notifySystemd("READY=1", io.env, log);
    const why = await stopped;
    log.info({ why, nodes: daemon.registry.size }, "stopping");
    notifySystemd("STOPPING=1", io.env, log);
    await daemon.close();
    log.info("stopped");
    return EXIT.done;
  } finally {
    forget();
  }
}
