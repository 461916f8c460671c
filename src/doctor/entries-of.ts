import type { ServiceMember } from "../catalogue/core/instances.js";
import { parseServiceDomain } from "../names/domains.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";

/** The entries of the service of a node in Consul; empty where it is none of Consul's, or Consul does not tell. Never rejects. */
export async function entriesOf(
  { host }: AskedNode,
  { config, instancesInConsul }: Pick<Examination, "config" | "instancesInConsul">,
): Promise<readonly ServiceMember[]> {
  const domain = parseServiceDomain(host, config.consulDomain);
  if (!domain) return [];
  try {
    const { service, datacenter } = domain;
    return await instancesInConsul({ service, datacenter });
  } catch {
    return [];
  }
}
