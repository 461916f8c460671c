import { type Config, loadConfig } from "./core/config.js";
import { parseNodeName } from "./core/node-name.js";
import type { Resolution } from "./core/resolution.js";
import { createLogger, type Logger } from "./logger.js";
import { thisMachine } from "./machine.js";
import { composeResolution, type Resolving } from "./resolution/compose.js";
import { epmdSource } from "./resolution/epmd-source.js";
import { ownHosts } from "./resolution/own-hosts.js";

/** What the daemon would resolve with; the nodes alive here are those that the EPMD of this machine knows. @throws ConfigError */
export function composeForLookUps(config: Config, log: Logger): Resolving {
  const machine = thisMachine();
  return composeResolution({
    config,
    machine,
    registry: epmdSource(config.port, ownHosts(config, machine)),
    servers: [],
    watchNodesFile: false,
    ownPort: () => undefined,
    log,
  });
}

/**
 * Looks one node up as the daemon would, for users of the library.
 * @param node `name@host`, or a bare name when the configuration has a domain
 * @throws ValueError when the name is none
 */
export async function resolve(
  node: string,
  config: Config = loadConfig({ command: "resolve", flags: {}, env: {} }).config,
): Promise<Resolution> {
  const name = parseNodeName(node);
  const log = createLogger({ level: "silent", format: "json", write: () => {} });
  const resolving = composeForLookUps(config, log);
  try {
    return await resolving.nodes.resolve(name, { sameHost: true });
  } finally {
    await resolving.close();
  }
}
