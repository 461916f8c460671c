import type { IpPort } from "../../config/network-values.js";
import { isBridged, isForTasks, type NomadEnvironment, type NomadPort, portOfLabel } from "../../config/nomad.js";
import type { RegisteredNode } from "../../epmd/core/registry.js";
import { type DomainSettings, nodeHost, serviceOf } from "../../names/domains.js";
import type { Family } from "../../net/endpoint.js";
import { canonicalIp, familyOf, isWildcard } from "../../net/ip.js";
import { fillTemplate, listed } from "../../text.js";

/** The address at which peers on other machines dial a node that is alive here. */
export interface Advertised {
  readonly port: number;
  /** IP literals or host names, at most one for each family; empty: the address of the agent, which is the machine's. */
  readonly addresses: readonly string[];
}

type Reach =
  | { readonly outcome: "reachable"; readonly advertised: Advertised }
  | { readonly outcome: "unreachable"; readonly reason: string };

/** The settings that decide where peers on other machines dial a node. */
export interface AdvertiseSettings extends Omit<DomainSettings, "publish"> {
  /** Port of the EPMD. */
  readonly port: number;
  /** IP literals, host names and templates. */
  readonly advertiseAddress: readonly string[];
  readonly advertisePort: number | undefined;
  readonly portLabel: string | undefined;
  /** Where the relay process takes mutual TLS for all nodes here; undefined: peers dial the VMs themselves. */
  readonly connectPort?: number | undefined;
  /** `--connect-listen`: one address, which is published unless another is given, or a wildcard. */
  readonly connectListen?: IpPort | undefined;
  readonly nomad: Pick<NomadEnvironment, "ports">;
}

/** What a node said of itself when it registered, as far as it decides where it is dialled. */
type DialledNode = Pick<RegisteredNode, "aliveName" | "port" | "family" | "address">;

/** Undefined when no peer on another machine can reach the node. */
export function advertised(node: DialledNode, settings: AdvertiseSettings): Advertised | undefined {
  const result = reach(node, settings);
  return result.outcome === "reachable" ? result.advertised : undefined;
}

export function reach(dialled: DialledNode, settings: AdvertiseSettings): Reach {
  const { connectPort } = settings;
  // The VM listens at a port that only this machine reaches; the relay process listens for it, on both families.
  const node: DialledNode =
    connectPort === undefined || dialled.port === 0 ? dialled : { ...dialled, port: connectPort, family: 6 };
  // epmd_srv.c registers port 0 like any other; --advertise-port cannot help a node that listens nowhere.
  if (node.port === 0) {
    return {
      outcome: "unreachable",
      reason: "the node registered with port 0: it listens nowhere, so nobody can dial it",
    };
  }
  if (node.address !== undefined && settings.advertiseAddress.length === 0) {
    // The node is on another machine: Nomad's variables here do not describe its ports.
    return { outcome: "reachable", advertised: { port: node.port, addresses: [node.address] } };
  }
  const mapped = findLabel(node, settings);
  if (typeof mapped === "string") return { outcome: "unreachable", reason: mapped };
  const port = settings.advertisePort ?? (mapped?.taskPort === node.port ? mapped.hostPort : node.port);
  const given = settings.advertiseAddress.map((address) => fillAddress(address, node.aliveName, settings));
  const hostIp = mapped?.hostIp === undefined ? undefined : (canonicalIp(mapped.hostIp) ?? mapped.hostIp);
  const { address: listening = "::" } = (connectPort !== undefined && settings.connectListen) || {};
  const own = isWildcard(listening) ? [] : [listening];
  const candidates = given.length > 0 ? given : hostIp === undefined ? own : [hostIp];
  const addresses = onePerFamily(candidates, node.family);
  if (candidates.length > 0 && addresses.length === 0) {
    const source = given.length > 0 ? "--advertise-address" : `NOMAD_HOST_IP_${mapped?.label}`;
    return {
      outcome: "unreachable",
      reason: `the node registered over 127.0.0.1, so it listens on IPv4 only, and ${source} is ${candidates.join(", ")}: start the VM with -proto_dist inet6_tcp, or advertise an IPv4 address`,
    };
  }
  return { outcome: "reachable", advertised: { port, addresses } };
}

/** The Nomad port of the node, or none, or the reason why no peer can reach the node. */
function findLabel(node: DialledNode, settings: AdvertiseSettings): NomadPort | undefined | string {
  const { ports } = settings.nomad;
  const wanted = settings.portLabel;
  const chosen = wanted === undefined ? undefined : portOfLabel(ports, wanted);
  if (wanted !== undefined && !chosen) return noSuchLabel(wanted, ports);
  const mapped = chosen ?? ports.find(({ taskPort }) => taskPort === node.port);
  if (mapped?.taskPort === node.port || settings.advertisePort !== undefined) return mapped;
  const bridged = ports.filter(isBridged);
  // Without a bridge the task has the host's ports: the node's own port can be dialled.
  if (bridged.length === 0) return chosen;
  const labels = chosen ? [chosen] : bridged.filter((port) => port.taskPort !== settings.port && isForTasks(port));
  const choices = Array.from(new Map(labels.map((port) => [port.taskPort, port.label])));
  const [first] = choices;
  if (settings.connectPort !== undefined) {
    const label = first ? `give --port-label ${first[1]}` : "give the group a port, and its label as --port-label";
    return `callers are taken at port ${node.port}, to which no port of this bridge network is mapped: ${label}`;
  }
  const variables = choices.map(([taskPort, label]) => `ERL_DIST_PORT=${taskPort} (${label})`).join(" or ");
  // Plain erl does not read ERL_DIST_PORT, and a relx release with it asks no EPMD for its peers.
  const advice = first
    ? `start the VM with ${variables} and the srv_epmd module, else with -kernel inet_dist_listen_min ${first[0]} inet_dist_listen_max ${first[0]}`
    : "give the group a port for it";
  return `the node listens on port ${node.port}, to which no port of this bridge network is mapped: ${advice}`;
}

/** Why a value of --port-label is none of the group's ports. */
export function noSuchLabel(wanted: string, ports: readonly NomadPort[]): string {
  const labels = ports.filter(isForTasks).map(({ label }) => label);
  const known = labels.length === 0 ? "Nomad gives this task no port" : `this group has ${listed(labels)}`;
  return `--port-label ${wanted}: there is no port of that label; ${known}`;
}

function onePerFamily(addresses: readonly string[], family: Family): string[] {
  const found = new Map<Family | undefined, string>();
  for (const address of addresses) {
    const kind = familyOf(address);
    // A VM that registered over IPv4 (inet_tcp) does not listen on IPv6; one that registered over ::1 listens on both.
    if (kind === 6 && family === 4) continue;
    if (!found.has(kind)) found.set(kind, address);
  }
  return Array.from(found.values());
}

function fillAddress(template: string, aliveName: string, settings: Omit<DomainSettings, "publish">): string {
  const host = nodeHost(aliveName, settings) ?? "";
  const service = serviceOf(aliveName, settings) ?? host.split(".")[0] ?? "";
  const filled = fillTemplate(template, { name: aliveName, host, service });
  return canonicalIp(filled) ?? filled;
}
