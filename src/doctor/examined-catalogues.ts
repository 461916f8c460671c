import type { ServiceMember } from "../catalogue/core/instances.js";

import type { Config } from "../config/config.js";
import type { ConsulClient, ServiceQuery } from "../consul/client.js";
import type { ServerMember } from "../consul/core/members.js";
import { knownServers, type Leader, leader } from "../consul/examine.js";
import { type ReadRights, readRights } from "../consul/rights.js";
import { ConsulSide } from "../consul/side.js";
import type { Logger } from "../daemon/logger.js";
import type { NomadServiceQuery } from "../nomad/client.js";
import type { NomadInstance } from "../nomad/core/replies.js";
import { NomadSide } from "../nomad/side.js";
import { once, onceEach } from "./once.js";
import { servicesToRead } from "./published-nodes.js";
import { type Unread, unreadBy } from "./unread.js";

/** What Consul and Nomad tell, each asked for once. Of these only `servers`, `rightsToRead` and `unread` never reject. */
export interface ExaminedCatalogues {
  readonly connect: () => Promise<ConsulClient>;
  /** @throws ConsulError when the agent does not answer */
  readonly leader: () => Promise<Leader>;
  /** That the agent knows; undefined where it does not tell. Never rejects. */
  readonly servers: () => Promise<readonly ServerMember[] | undefined>;
  /** Empty, too, for what the token may not read. @throws ConsulError */
  readonly instancesInConsul: (query: ServiceQuery) => Promise<readonly ServiceMember[]>;
  /** What the token may read of the services here and of the node asked about; undefined where the agent does not answer. */
  readonly rightsToRead: () => Promise<ReadRights | undefined>;
  /** Why Consul does not show doctor all of the services; undefined: it does, or does not tell. */
  readonly unread: () => Promise<Unread | undefined>;
  readonly nomad: Pick<NomadSide, "connect">;
  /** @throws NomadError */
  readonly instancesInNomad: (query: NomadServiceQuery) => Promise<readonly NomadInstance[]>;
}

/** Of a call, so that all checks end within seconds. Milliseconds. */
const TIMEOUT = 3_000;

export function examinedCatalogues(
  config: Config,
  asked: { readonly host: string } | undefined,
  log: Logger,
): ExaminedCatalogues & { readonly close: () => Promise<void> } {
  const consul = new ConsulSide(config, log, { timeoutMs: TIMEOUT });
  const nomad = new NomadSide(config, log, { timeoutMs: TIMEOUT });
  const connect = () => consul.connect();
  const services = servicesToRead({ config, asked });
  const rightsToRead = once(async () => {
    try {
      return await readRights(await connect(), services);
    } catch {
      return undefined;
    }
  });
  return {
    ...{ connect, nomad, rightsToRead },
    leader: once(async () => leader(await connect())),
    servers: once(async () => {
      try {
        return await knownServers(await connect());
      } catch {
        return undefined;
      }
    }),
    instancesInConsul: onceEach(
      async (query) => (await connect()).members(query),
      ({ service, datacenter }) => `${service}.${datacenter ?? ""}`,
    ),
    unread: once(async () => unreadBy(await rightsToRead(), services, config)),
    instancesInNomad: onceEach(
      async (query) => (await (await nomad.connect()).instances(query, {})).instances,
      ({ service, namespace }) => `${service}.${namespace}`,
    ),
    close: async () => {
      await Promise.all([consul.close(), nomad.close()]);
    },
  };
}
