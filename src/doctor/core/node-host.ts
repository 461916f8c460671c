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
  /** By the options here other machines find it by that name. */
  readonly isPublished: boolean;
  /** Where it is published, as IP literals; empty: at the address of the Consul agent, which is not known. */
  readonly publishedAt: readonly string[];
  /** Its VM has neither the module nor an inetrc: it is in the host's way, or behind the gateway. */
  readonly isStock: boolean;
  /** Its host part is a name that resolves to this machine here, and none of Consul's services. */
  readonly leadsHere?: boolean;
  /** Who is asked by a stock VM that dials its host part; undefined where that is no address, or not looked at. */
  readonly askedThere?: AskedThere | undefined;
}

/**
 * What the EPMD at an address leads to. `itself`: to the node, so the address is mapped to this place. `another`: to
 * another node or none. `refused`, `silent`: there is no EPMD for this machine, or no node at the port that it gives.
 */
export type AskedThere = "itself" | "another" | "refused" | "silent";

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
  if (host === "localhost" || (address !== undefined && isLoopback(address))) return loopback(calls, node);
  if (address === undefined) {
    // A VM elsewhere with the module has no records of such a name, and in a bridge network it leads to the client.
    const isHostWay = node.isStock && !place.isGateway && !place.isBridged;
    return isHostWay && (node.leadsHere || place.names.has(host.toLowerCase()))
      ? machineName(calls, node, place)
      : undefined;
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

/** Names must be the same, so nobody reaches a node by another one than its VM has. */
function loopback(calls: string, { aliveName, publishedName, isPublished }: NamedNode): Finding {
  const evidence = `${calls}, which is this machine for every machine that dials it`;
  if (publishedName !== undefined && isPublished) {
    return fail(
      "HOST_LOOPBACK",
      `${evidence}, and it is published as ${publishedName}: a peer that dials that name closes the connection, so no other machine reaches it`,
      [
        `start it with -name ${publishedName} (RELEASE_NODE)`,
        "where all its peers are on this machine, leave it out of what is published: --publish with a pattern of the others",
      ],
      aliveName,
    );
  }
  return warn(
    "HOST_LOOPBACK",
    `${evidence}: it works where all its peers are on this machine`,
    [
      `for peers elsewhere give it a host part that leads here: -name ${publishedName ?? `${aliveName}@<service or address>`}`,
      "nothing is to be done where it has none",
    ],
    aliveName,
  );
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
  const evidence = `${calls}, an address of this machine, and it is published as ${publishedName} at ${publishedAt.join(" and ")}`;
  const advice = `publish it at that address (--advertise-address ${address}), or give the VM -name ${aliveName}@${publishedAt[0]} or ${publishedName}`;
  if (!isServed) {
    return fail(
      "HOST_NOT_PUBLISHED",
      `${evidence}: no VM on another machine finds it by that name, with the module for it looks for what is published, and without for srv-epmd serves none of them there`,
      [advice, `for stock VMs alone: let srv-epmd serve them, --listen ${address}`],
      aliveName,
    );
  }
  return warn(
    "HOST_NOT_PUBLISHED",
    `${evidence}: stock VMs that reach ${address} find it by that name, VMs with the module on other machines do not`,
    [advice, "nothing is to be done where no peer elsewhere has the module"],
    aliveName,
  );
}

/** Stock VMs elsewhere resolve the name themselves, and ask the EPMD here. */
function machineName(
  calls: string,
  { aliveName, host, publishedName, isPublished }: NamedNode,
  { served }: OwnPlace,
): Finding {
  const evidence = `${calls}, a name of this machine`;
  const isServed = served.some((one) => !isLoopback(one));
  const way = isServed
    ? "stock VMs find it where that name resolves to this machine"
    : "VMs on other machines do not find it by that name, for srv-epmd serves none of them (--listen)";
  if (publishedName === undefined || !isPublished) return ok([`${evidence}: ${way}`]);
  const isShort = neverConnect(host, publishedName);
  const short = isShort ? ": short and long names never connect" : "";
  const told = [`${evidence}: ${way}`, `it is published as ${publishedName}, and whoever dials that gets pang${short}`];
  const rename = `start it with -name ${publishedName}${isShort ? ", in place of -sname," : ""} and the srv_epmd module, or with the gateway`;
  const advice = [
    isShort ? rename : `${rename}; or publish it as it is: --node-host ${host}`,
    `for stock VMs that dial ${aliveName}@${host} srv-epmd has to serve them: --listen <address of this machine>`,
  ];
  if (!isServed) return fail("HOST_MACHINE_NAME", told, advice, aliveName);
  return warn(
    "HOST_MACHINE_NAME",
    told,
    [...advice.slice(0, 1), `nothing is to be done where all peers are stock VMs that dial ${aliveName}@${host}`],
    aliveName,
  );
}

/** Of a VM that calls itself otherwise than it is published. @param asItIs how serve would publish its own name */
export function nameDiffers(
  { aliveName, host, publishedName = "" }: Pick<NamedNode, "aliveName" | "host" | "publishedName">,
  how: string,
  asItIs: string,
): Finding {
  const calls = `the VM of ${aliveName} calls itself ${aliveName}@${host}, and ${how} ${publishedName}`;
  // Published as it is, it would be found by nobody with a long name.
  if (neverConnect(host, publishedName)) {
    return fail(
      "HOST_DIFFERS",
      `${calls}: short and long names never connect`,
      `start the VM with -name ${publishedName} (RELEASE_NODE, RELEASE_DISTRIBUTION=name), in place of -sname`,
      aliveName,
    );
  }
  return fail(
    "HOST_DIFFERS",
    `${calls}: a peer that dials that name closes the connection, since names must be the same`,
    `start the VM with -name ${publishedName} (RELEASE_NODE), or give serve ${asItIs}`,
    aliveName,
  );
}

function bridgeAddress(calls: string, address: string, { aliveName, publishedName }: NamedNode): Finding {
  return fail(
    "HOST_BRIDGE",
    `${calls}, and ${address} is the allocation's own address in its client's bridge network: no peer on another client reaches it`,
    `start it with -name ${publishedName ?? "<name>@<service>"} (RELEASE_NODE) and the srv_epmd module, or with the gateway`,
    aliveName,
  );
}

function elsewhere(calls: string, address: string, node: NamedNode): Finding {
  const { aliveName, publishedName, publishedAt, askedThere } = node;
  const where = publishedAt.length === 0 ? "" : `, nor is it published there (it is at ${publishedAt.join(" and ")})`;
  const evidence = `${calls}, and this machine has no address ${address}${where}`;
  const names = [publishedName, ...publishedAt.slice(0, 1).map((one) => `${aliveName}@${one}`)].filter(Boolean);
  const rename =
    names.length > 0 ? `start it with -name ${names.join(" or ")}` : "give it a host part that leads to this machine";
  switch (askedThere) {
    case "itself":
      return warn(
        "HOST_ELSEWHERE",
        `${evidence}: a port mapping leads from there to it, so stock VMs find it by that name, and VMs with the module do not`,
        [
          `publish it at that address (--advertise-address ${address}), or ${rename}`,
          "nothing is to be done where no peer has the module",
        ],
        aliveName,
      );
    case "another":
      return fail(
        "HOST_ELSEWHERE",
        `${evidence}: peers that dial that name get pang, for what they ask at ${address} has no port of it for them`,
        rename,
        aliveName,
      );
    default: {
      const refuses = askedThere === "refused" ? "refuses" : "does not answer";
      return warn(
        "HOST_ELSEWHERE",
        [
          `${evidence}: peers that dial that name ask at ${address}, which ${refuses} this machine`,
          "either nobody has the node there, or a router maps that address to this machine for others and keeps its own network from it (no hairpin NAT)",
        ],
        [
          `run srv-epmd names ${address} outside of this network: where it lists ${aliveName}, stock VMs there find it; else ${rename}`,
        ],
        aliveName,
      );
    }
  }
}
