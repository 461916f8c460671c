import { type Config, loadConfig } from "../config/config.js";
import { ConsulSide } from "../consul/side.js";
import { createLogger, type Logger } from "../daemon/logger.js";
import { names } from "../epmd/client.js";
import { parseNodeName } from "../names/node-name.js";
import { thisMachine } from "../os/machine.js";
import { composeResolution, type ResolutionDeps, type Resolving } from "./compose.js";
import type { Resolution } from "./core/resolution.js";
import { epmdSource, ownHosts } from "./registry-source.js";

/** An EPMD on this machine answers at once. Milliseconds. */
const NAMES_TIMEOUT = 500;

/**
 * Look-ups as the daemon would make them; the nodes alive here are those that the EPMD of this machine has.
 * @param running name servers of a daemon with this configuration that is running now
 * @throws ConfigError
 */
export function composeForLookUps(
  config: Config,
  log: Logger,
  running: Partial<Pick<ResolutionDeps, "servers" | "isOwnServer">> = {},
): Resolving {
  const machine = thisMachine();
  const consul = new ConsulSide(config, log);
  const resolving = composeResolution({
    config,
    machine,
    registry: epmdSource(config.port, ownHosts(config, machine)),
    servers: [],
    ...running,
    upstreams: { connect: () => consul.connect(), aliveNames: () => aliveNames(config.port), follow: false },
    watchNodesFile: config.watch,
    ownPort: () => undefined,
    log,
  });
  const close = async () => {
    await resolving.close();
    await consul.close();
  };
  return { ...resolving, close };
}

/** Of the nodes that the EPMD of this machine has; none when it does not answer. */
async function aliveNames(port: number): Promise<string[]> {
  const answer = await names({ address: "127.0.0.1", port }, { timeout: NAMES_TIMEOUT }).catch(() => undefined);
  return answer?.names.map(({ name }) => name) ?? [];
}

/**
 * Looks one node up as the daemon would, for users of the library.
 * @param node `name@host`, or a bare name when the configuration has a domain
 * @throws ValueError when it is not a node name
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
