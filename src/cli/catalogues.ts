import type { ClusterNode } from "../catalogue/core/instances.js";
import type { AskedService } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { readRights } from "../consul/rights.js";
import { ConsulSide } from "../consul/side.js";
import { type Unread, unreadBy } from "../doctor/unread.js";
import { nodesInCatalogues } from "../nomad/cluster.js";
import { NomadSide } from "../nomad/side.js";
import type { CommandContext } from "./io.js";

/** Consul and Nomad, for a command that lists what they have. */
export interface Catalogues {
  readonly consul: ConsulSide;
  readonly nomad: NomadSide;
  readonly config: Config;
  readonly close: () => Promise<void>;
}

/** Asks nothing yet. */
export function openCatalogues({ config, log }: Pick<CommandContext, "config" | "log">): Catalogues {
  const [consul, nomad] = [new ConsulSide(config, log), new NomadSide(config, log)];
  const close = async () => {
    await Promise.all([consul.close(), nomad.close()]);
  };
  return { consul, nomad, config, close };
}

/** The nodes of services, each asked once of its catalogue. @throws ConsulError, NomadError */
export function listInCatalogues(
  services: readonly AskedService[],
  { consul, nomad, config }: Catalogues,
): Promise<ClusterNode[]> {
  const deps = { consul: () => consul.connect(), nomad, settings: config, timeout: config.timeout, now: Date.now() };
  return nodesInCatalogues(services, deps);
}

/** Undefined: Consul shows all nodes of the services, or does not say what it leaves out. Never rejects. */
export async function unreadOf(
  asked: readonly AskedService[],
  { consul, config }: Catalogues,
): Promise<Unread | undefined> {
  const all = asked.flatMap((one) => (one.catalogue === "consul" ? one.domain.service : []));
  const services = Array.from(new Set(all));
  if (services.length === 0) return undefined;
  try {
    return unreadBy(await readRights(await consul.connect(), services), services, config);
  } catch {
    // The list comes from the same agent, and says why it does not answer.
    return undefined;
  }
}
