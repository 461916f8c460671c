import type { Config } from "../config/config.js";
import { type Daemon, start } from "../daemon/daemon.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import type { RelayStart } from "../relay/autostart.js";
import { type CommandContext, EXIT, type ExitCode, type Io } from "./io.js";
import { notify, onStopSignal } from "./supervisor.js";

/** Runs the daemon until a signal or an obeyed KILL; a second signal ends it at once. */
export async function serve({ config, io, log }: CommandContext): Promise<ExitCode> {
  let daemon: Daemon | undefined;
  const signal = onStopSignal(io, log, () => daemon?.reload());
  let kill: (why: string) => void = () => {};
  const killed = new Promise<string>((resolve) => {
    kill = resolve;
  });
  await checkCookie(config, log);
  const relay = config.gateway || config.connectNative ? await relayStart(config, io) : undefined;
  daemon = await start(config, { log, onKill: () => kill("KILL request"), ...(relay && { relay }) });
  const { addresses, port, dnsAddress: dns, gatewayDnsAddress: gateway, adminAddress: admin } = daemon;
  log.info({ addresses, port, dns, gateway, admin, ...daemon.settings }, "ready");
  await notify("READY=1", io, log);
  const why = await Promise.race([signal.stopped, killed]);
  log.info({ why, nodes: daemon.registry.size }, "stopping");
  await notify("STOPPING=1", io, log);
  await daemon.close();
  log.info("stopped");
  await signal.settle();
  return EXIT.done;
}

/** The file is read when somebody asks, and the VM may write it first: what is wrong now is only warned of. */
async function checkCookie({ cookieFile }: Config, log: Logger): Promise<void> {
  if (cookieFile === undefined) return;
  const { readCookie } = await import("../distribution/cookie.js");
  await readCookie({ cookieFile, cookieEnv: undefined }, {}).catch((error: unknown) => {
    log.warn(`${describeError(error)}; until that is right /readyz?cluster= is not ready for VMs without the module`);
  });
}

/** How a relay process is started here; undefined where a supervisor starts it. */
async function relayStart({ relaySocket }: Config, { program, env }: Io): Promise<RelayStart | undefined> {
  const { supervisorOf } = await import("../relay/autostart.js");
  const supervised = supervisorOf(env);
  // --relay-socket under a supervisor means a task or unit for it, which may start later and would find its socket taken.
  if (supervised !== undefined && relaySocket !== undefined) return undefined;
  return { program, env, supervised };
}
