import { type AgentSettings, ConsulSide } from "../consul/side.js";
import type { Logger } from "../daemon/logger.js";
import { names } from "../epmd/client.js";
import { type DomainSettings, Domains } from "../names/domains.js";
import { thisMachine } from "../os/machine.js";
import { composeResolution, type ResolutionDeps, type ResolutionSettings, type Resolving } from "./compose.js";
import { epmdSource } from "./registry-source.js";

interface LookUpSettings extends ResolutionSettings, AgentSettings, DomainSettings {
  /** Follow the nodes file. */
  readonly watch: boolean;
}

/** An EPMD on this machine answers at once. Milliseconds. */
const NAMES_TIMEOUT = 500;

/**
 * Look-ups as the daemon would make them; the nodes alive here are those that the EPMD of this machine has.
 * @param running name servers of a daemon with this configuration that is running now
 * @throws ConfigError
 */
export function composeForLookUps(
  settings: LookUpSettings,
  log: Logger,
  running: Partial<Pick<ResolutionDeps, "servers" | "isOwnServer">> = {},
): Resolving {
  const machine = thisMachine();
  const domains = new Domains(settings, machine);
  const consul = new ConsulSide(settings, log);
  const resolving = composeResolution({
    settings,
    machine,
    domains,
    registry: epmdSource(settings.port, domains),
    servers: [],
    ...running,
    upstreams: { connect: () => consul.connect(), aliveNames: () => aliveNames(settings.port), follow: false },
    watchNodesFile: settings.watch,
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
