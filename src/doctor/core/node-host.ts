import { neverConnect } from "../../names/node-name.js";
import { canonicalIp, isLoopback, isWildcard } from "../../net/ip.js";
import { type Finding, fail, ok, warn } from "./finding.js";

/** A node that is alive here under another host part than that of its entries. */
export interface NamedNode {
  readonly aliveName: string;
  /** Host part of the VM's own name, as the VM writes it. */
  readonly host: string;
  /** The node's name by the options here; undefined where it has none. */
  readonly publishedName: string | undefined;
  /** Where it is published, as IP literals; empty: at the address of the Consul agent, which is not known. */
  readonly publishedAt: readonly string[];
  /** Its VM has neither the module nor an inetrc: it is in the host's way, or behind the gateway. */
  readonly isStock: boolean;
}

/** The machine or task that the node lives on. */
export interface OwnPlace {
  /** Lower case. */
  readonly names: ReadonlySet<string>;
  /** Of all interfaces, canonical. */
  readonly addresses: readonly string[];
  /** The addresses at which strangers may ask the EPMD: --listen, which may be a wildcard. */
  readonly served: readonly string[];
  /** VMs here reach their peers through the gateway, by the names of its domains. */
  readonly isGateway: boolean;
  /** Nomad's bridge network: the addresses are those of the task, out of reach for other clients. */
  readonly isBridged: boolean;
  /** A node is reached through the upstream that its name leads to, and in no other way. */
  readonly isMeshed: boolean;
}

/** Undefined where the host part is neither an address nor this machine's name. */
export function judgeHost(node: NamedNode, place: OwnPlace): Finding | undefined {
  const { host } = node;
  const name = `${node.aliveName}@${host}`;
  const calls = `the VM of ${node.aliveName} calls itself ${name}`;
  if (place.isMeshed) return undefined;
  const address = canonicalIp(host);
  if (host === "localhost" || (address !== undefined && isLoopback(address))) {
    return warn(
      "HOST_LOOPBACK",
      `${calls}, which is this machine for every machine that dials it: peers elsewhere do not reach it`,
      [
        `give it a host part that leads here from elsewhere: -name ${node.publishedName ?? `${node.aliveName}@<service or address>`}`,
        "nothing is to be done where all its peers are on this machine",
      ],
      node.aliveName,
    );
  }
  if (address === undefined) {
    // A VM elsewhere with the module has no records of such a name, and in a bridge network it leads to the client.
    const isHostWay = node.isStock && !place.isGateway && !place.isBridged;
    return isHostWay && place.names.has(host.toLowerCase()) ? machineName(calls, node) : undefined;
  }
  if (place.addresses.includes(address)) {
    return place.isBridged ? bridgeAddress(calls, address, node) : ownAddress(calls, address, node, place);
  }
  // An address that is not of an interface here may be mapped to this place.
  if (node.publishedAt.includes(address)) {
    return ok(`${calls}, the address at which it is published: VMs with the module find it by that name`);
  }
  return elsewhere(calls, address, node);
}

/** A VM elsewhere asks the EPMD at the address; with the module it asks for the entries of the alive name at that address. */
function ownAddress(calls: string, address: string, node: NamedNode, { served }: OwnPlace): Finding {
  const { aliveName, publishedAt, publishedName } = node;
  const isServed = served.some((one) => one === address || isWildcard(one));
  if (publishedName === undefined || publishedAt.length === 0 || publishedAt.includes(address)) {
    return ok([
      `${calls}, an address of this machine: peers that dial that name find it`,
      ...(isServed ? [] : [`stock VMs on other machines do where srv-epmd serves them: --listen ${address}`]),
    ]);
  }
  return warn(
    "HOST_NOT_PUBLISHED",
    `${calls}, an address of this machine, and it is published at ${publishedAt.join(" and ")}: stock VMs find it by that name, VMs with the module do not`,
    [
      `publish it at that address (--advertise-address ${address}), or give the VM -name ${aliveName}@${publishedAt[0]}`,
      "nothing is to be done where no peer has the module",
    ],
    aliveName,
  );
}

function machineName(calls: string, { host, publishedName }: NamedNode): Finding {
  const evidence = `${calls}, a name of this machine: stock VMs find it where that name resolves to this machine`;
  if (publishedName === undefined) return ok(evidence);
  const why = neverConnect(host, publishedName) ? ": short and long names never connect" : "";
  return ok([evidence, `whoever dials ${publishedName} gets pang${why}`]);
}

function bridgeAddress(calls: string, address: string, { aliveName, publishedName }: NamedNode): Finding {
  return fail(
    "HOST_BRIDGE",
    `${calls}, and ${address} is the allocation's own address in its client's bridge network: no peer on another client reaches it`,
    `start it with -name ${publishedName ?? "<name>@<service>"} (RELEASE_NODE) and the srv_epmd module, or with the gateway`,
    aliveName,
  );
}

function elsewhere(calls: string, address: string, { aliveName, publishedName, publishedAt }: NamedNode): Finding {
  const where = publishedAt.length === 0 ? "" : `, nor is it published there (it is at ${publishedAt.join(" and ")})`;
  const names = [publishedName, ...publishedAt.slice(0, 1).map((one) => `${aliveName}@${one}`)].filter(Boolean);
  return warn(
    "HOST_ELSEWHERE",
    `${calls}, and this machine has no address ${address}${where}: peers that dial that name ask another machine`,
    [
      names.length > 0 ? `start it with -name ${names.join(" or ")}` : "give it a host part that leads to this machine",
      `nothing is to be done where ${address} leads here by a port mapping of yours`,
    ],
    aliveName,
  );
}
