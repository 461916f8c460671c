import { ConfigError } from "../errors.js";
import {
  type DomainSettings,
  expandHost,
  parseServiceDomain,
  qualifiedDomain,
  type ServiceDomain,
} from "../names/domains.js";
import { parseNamePattern } from "../names/node-name.js";
import type { Glob } from "../text.js";
import type { ConsulClient } from "./client.js";
import { type ClusterNode, clusterNodes } from "./core/catalogue.js";

/** A question for nodes of a Consul service. */
export interface AskedService {
  readonly glob: Glob;
  /** Expanded: `svc.service.consul` */
  readonly host: string;
  readonly domain: ServiceDomain;
}

/** The service of a pattern such as `node_*@svc`. @param ownNames `localhost` and the machine's, which are no services @throws ConfigError */
export function serviceOfPattern(pattern: string, consulDomain: string, ownNames: ReadonlySet<string>): AskedService {
  const { glob, host } = parseNamePattern(pattern);
  return asked(glob, expandHost(host, consulDomain, ownNames), consulDomain);
}

/** The services of `--domain`, each with its glob. @throws ConfigError for a domain that is not under Consul's */
export function servicesOfDomains({
  domain,
  consulDomain,
}: Pick<DomainSettings, "domain" | "consulDomain">): AskedService[] {
  return domain.map(({ glob, domain: written }) => asked(glob, qualifiedDomain(written, consulDomain), consulDomain));
}

function asked(glob: Glob, host: string, consulDomain: string): AskedService {
  const domain = parseServiceDomain(host, consulDomain);
  if (domain) return { glob, host, domain };
  throw new ConfigError("CONFIG_VALUE", `${host} is no service of Consul: it is not <service>.service.${consulDomain}`);
}

/** The nodes of services in Consul, of any health. @param now milliseconds since the epoch @throws ConsulError */
export async function nodesInConsul(
  client: ConsulClient,
  services: readonly AskedService[],
  { timeout, now }: { readonly timeout: number; readonly now: number },
): Promise<ClusterNode[]> {
  const members = await Promise.all(
    services.map(async ({ domain: { service, datacenter } }) =>
      client.members({ service, datacenter }, AbortSignal.timeout(timeout)),
    ),
  );
  return services.flatMap((one, index) => clusterNodes(members[index] ?? [], one, now));
}
