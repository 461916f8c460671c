import { openFileLimit } from "../os/machine.js";
import { relayDescriptors } from "../relay/limits.js";
import { startRelayServer } from "../relay/server.js";
import { relaySocketPath } from "../relay/socket-path.js";
import type { CommandContext } from "./commands.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import { notify } from "./notify.js";
import { onStopSignal } from "./stop-signal.js";

/** Runs the relays until a signal, which cuts their links, or, with --until-idle, until nobody needs them. */
export async function relay({ config, io, log }: CommandContext): Promise<ExitCode> {
  // A terminal that closes must not cut links.
  const signal = onStopSignal(io, log, () => log.info("SIGHUP: nothing to read again"));
  const socket = await relaySocketPath(config, config.port, log);
  const { relayPorts: ports, untilIdle } = config;
  const server = await startRelayServer({
    socket,
    ports,
    untilIdle,
    descriptors: relayDescriptors(openFileLimit()),
    log,
  });
  log.info({ socket, ports: `${ports.low}-${ports.high}`, pid: process.pid }, "ready");
  await notify("READY=1", io, log);
  const why = await Promise.race([signal.stopped, server.idle]);
  log.info({ why, linksCut: server.openLinks() }, "stopping");
  await notify("STOPPING=1", io, log);
  await server.close();
  log.info("stopped");
  await signal.settle();
  return EXIT.done;
}
