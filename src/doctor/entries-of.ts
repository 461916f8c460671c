import type { ServiceMember } from "../catalogue/core/instances.js";
import { parseServiceDomain } from "../names/domains.js";
import type { AskedNode, Examination } from "./examination.js";

/** The entries of the service of a node in Consul; empty where it is none of Consul's, or Consul does not tell. Never rejects. */
export async function entriesOf(
  { host }: AskedNode,
  { config, connect }: Pick<Examination, "config" | "connect">,
): Promise<readonly ServiceMember[]> {
  const domain = parseServiceDomain(host, config.consulDomain);
  if (!domain) return [];
  try {
    const { service, datacenter } = domain;
    return await (await connect()).members({ service, datacenter });
  } catch {
    return [];
  }
}
