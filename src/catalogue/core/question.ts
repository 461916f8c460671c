import { readConsulName } from "../../names/domains.js";
import type { CatalogueQuery } from "./backend.js";
import type { ServiceInstance } from "./instances.js";

/** What a look-up asks a catalogue for. */
export interface CatalogueQuestion {
  readonly query: CatalogueQuery;
  /** Only instances with this tag; undefined: all. */
  readonly tag: string | undefined;
}

/** Whether look-ups use Consul's catalogue: the target of an SRV record (`--srv-target`) is nothing that it has. */
export function usesConsulCatalogue({
  catalogue,
  srvTarget,
}: {
  readonly catalogue: "auto" | "none";
  readonly srvTarget: string | undefined;
}): boolean {
  return catalogue !== "none" && srvTarget === undefined;
}

/**
 * What Consul's DNS would look up for a name: `n1.svc.service.dc1.consul` is the tag n1 of svc in dc1.
 * @param owner lower case, without trailing dot
 * @returns undefined for a name that is no service's, and for one that names a partition, a namespace or a peer
 */
export function consulQuestion(owner: string, consulDomain: string): CatalogueQuestion | undefined {
  const name = readConsulName(owner, consulDomain);
  if (name?.kind !== "service") return undefined;
  const { service, tagSuffix, datacenter } = name;
  const labels = [...(tagSuffix === undefined ? [] : [tagSuffix]), service, "service"];
  const forms = datacenter === undefined ? [[]] : [[datacenter], [datacenter, "dc"]];
  if (!forms.some((place) => [...labels, ...place, consulDomain].join(".") === owner)) return undefined;
  return { query: { service, datacenter }, tag: tagSuffix };
}

/** The instances that are in Consul's DNS under a tag. It compares tags whatever their case, and leaves out critical ones. */
export function instancesInDns(
  instances: readonly ServiceInstance[],
  tag: string | undefined,
): readonly ServiceInstance[] {
  if (tag === undefined) return instances.filter(({ critical }) => !critical);
  const byTag = indexes.get(instances) ?? indexByTag(instances);
  indexes.set(instances, byTag);
  return byTag.get(tag.toLowerCase()) ?? [];
}

type Index = ReadonlyMap<string, readonly ServiceInstance[]>;

/** Made with the first look-up in a list, which never changes: a service may have thousands of instances. */
const indexes = new WeakMap<readonly ServiceInstance[], Index>();

function indexByTag(instances: readonly ServiceInstance[]): Index {
  const byTag = new Map<string, ServiceInstance[]>();
  for (const instance of instances) {
    if (instance.critical) continue;
    for (const tag of new Set(instance.tags.map((each) => each.toLowerCase()))) {
      const same = byTag.get(tag);
      if (same) same.push(instance);
      else byTag.set(tag, [instance]);
    }
  }
  return byTag;
}
