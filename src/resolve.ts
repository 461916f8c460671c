import { type Config, loadConfig } from "./core/config.js";
import { parseNodeName } from "./core/node-name.js";
import type { Resolution } from "./core/resolution.js";
import { createLogger, type Logger } from "./logger.js";
import { thisMachine } from "./machine.js";
import { composeResolution, type Resolving } from "./resolution/compose.js";

/** What the daemon would resolve with, less the nodes that are registered with it. @throws ConfigError */
export function composeForLookUps(config: Config, log: Logger): Resolving {
  return composeResolution({
    config,
    machine: thisMachine(),
    registry: undefined,
    servers: [],
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
