import { openFileLimit } from "../os/machine.js";
import { relaySocketPath } from "../relay/control-socket.js";
import { relayDescriptors } from "../relay/limits.js";
import { startRelayServer } from "../relay/server.js";
import { type CommandContext, EXIT, type ExitCode } from "./io.js";
import { notify, onStopSignal } from "./supervisor.js";

/** Runs the relays until a signal, which cuts their links, or with --until-idle until no daemon and no link is left. */
export async function relay({ config, io, log }: CommandContext): Promise<ExitCode> {
  // SIGHUP of a terminal that closes must not cut links.
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
