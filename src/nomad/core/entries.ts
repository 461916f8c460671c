import type { NomadEnvironment } from "../../config/nomad.js";
import type { RegisteredNode } from "../../epmd/core/registry.js";
import { type DomainSettings, isLeftOut, nodeDomain } from "../../names/domains.js";
import { isHelperName } from "../../names/node-name.js";
import { type NomadService, parseNomadService } from "../../names/nomad-domain.js";
import { familyOf, hostPort } from "../../net/ip.js";
import { type AdvertiseSettings, reach } from "../../publish/core/advertised.js";
import { listed } from "../../text.js";

/** The service of Nomad's whose entry leads to a node here; undefined when the node is not meant to be found in Nomad's catalogue. */
export function nomadServiceOf(
  aliveName: string,
  settings: Pick<DomainSettings, "domain" | "consulDomain" | "publishNode" | "publish">,
  isAlive: (aliveName: string) => boolean,
): NomadService | undefined {
  const domain = nodeDomain(aliveName, settings);
  if (domain === undefined || isLeftOut(aliveName, settings) || isHelperName(aliveName, isAlive)) return undefined;
  return parseNomadService(domain, settings.consulDomain);
}

/** An entry of the service, as far as it is compared. */
export interface NomadEntry {
  /** `_nomad-task-<alloc>-group-<group>-<service>-<port label>` */
  readonly serviceId: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
}

/** Why peers do not find a node by Nomad's catalogue. Stable: in /v1/nodes and the log. */
type EntryFaultCode = "NOMAD_NO_ENTRY" | "NOMAD_NO_TAG" | "NOMAD_OTHER_PORT" | "NODE_UNREACHABLE";

export interface EntryFault {
  readonly code: EntryFaultCode;
  readonly reason: string;
  /** What to do. */
  readonly advice: string;
}

export interface EntrySettings extends AdvertiseSettings {
  readonly nomad: Pick<NomadEnvironment, "ports" | "allocId">;
}

/**
 * What is wrong with the entry that Nomad has for a node here; undefined when peers find the node by it.
 * @param entries all entries of the service in its namespace
 */
export function entryFault(
  node: Pick<RegisteredNode, "aliveName" | "port" | "family" | "address">,
  { service, namespace }: { readonly service: string; readonly namespace: string },
  entries: readonly NomadEntry[],
  settings: EntrySettings,
): EntryFault | undefined {
  const { aliveName } = node;
  const { allocId, ports } = settings.nomad;
  // Outside of an allocation any entry with the tag and the port will do.
  const own = entries.filter(({ serviceId }) => allocId === undefined || serviceId.includes(allocId));
  if (own.length === 0) {
    const whose = allocId === undefined ? "" : ` for the allocation ${allocId.slice(0, 8)}`;
    return {
      code: "NOMAD_NO_ENTRY",
      reason: `Nomad's catalogue has no entry of the service ${service} in the namespace ${namespace}${whose}`,
      advice: `give the group service { provider = "nomad", name = "${service}", port = "<label>", tags = ["${aliveName}"] }, with the label of the port on which the VM listens`,
    };
  }
  const tagged = own.filter(({ tags }) => tags.some((tag) => tag.toLowerCase() === aliveName.toLowerCase()));
  if (tagged.length === 0) {
    const tags = Array.from(new Set(own.flatMap((entry) => entry.tags)));
    return {
      code: "NOMAD_NO_TAG",
      reason: `Nomad's entry of the service ${service} has ${tags.length === 0 ? "no tag" : `the tags ${listed(tags)}`}, and not ${aliveName}`,
      advice: `give the service block the tag ${aliveName}: it is the part of the node's name before the @, and may hold \${NOMAD_SHORT_ALLOC_ID}`,
    };
  }
  const reached = reach(node, settings);
  if (reached.outcome === "unreachable") {
    return {
      code: "NODE_UNREACHABLE",
      reason: reached.reason,
      advice: "let the VM listen on the task side of a mapped port",
    };
  }
  const { port } = reached.advertised;
  const allocIps = ports.flatMap(({ allocIp }) => allocIp ?? []);
  // With address_mode = "alloc" Nomad gives the address of the allocation, and the port inside it.
  const leadsHere = (entry: NomadEntry) =>
    entry.port === port || (entry.port === node.port && allocIps.includes(entry.address));
  if (tagged.some(leadsHere)) return undefined;
  const places = tagged.map(({ address, port: at }) =>
    familyOf(address) ? hostPort(address, at) : `${address}:${at}`,
  );
  return {
    code: "NOMAD_OTHER_PORT",
    reason: `Nomad's entry of ${aliveName} leads to ${listed(places)}, and peers reach the node at port ${port}`,
    advice:
      'the service block must name the label of the port on which the VM listens: port = "<label>", where the VM has that port by NOMAD_PORT_<label>',
  };
}
