import { hostPort } from "../../net/ip.js";
import { fnv1a, quotation } from "../../text.js";

/** Meta keys of our entries. Only our entries have `srv-epmd-owner`. */
export const META_NODE = "erlang-node";
/** The same under the key that RabbitMQ's discovery reads (rabbit_peer_discovery_consul.erl, extract_node/1). */
export const META_NODE_NAME = "erlang-node-name";
export const META_PORT = "erlang-dist-port";
export const META_OWNER = "srv-epmd-owner";
/** When the node registered, seconds since the epoch: Consul keeps no times. */
export const META_SINCE = "srv-epmd-since";

/** Of a node that registers as hidden, as C nodes do: it has no links but those that programs make. */
export const META_NODE_TYPE = "srv-epmd-node-type";
export const HIDDEN = "hidden";
/** How the port is spoken to, where that is not the distribution protocol itself; `connect`: mutual TLS of Consul Connect around it. */
export const META_PROTOCOL = "srv-epmd-protocol";
export const NATIVE = "connect";

/** One service instance as the agent is to hold it. */
export interface ServiceEntry {
  readonly id: string;
  readonly aliveName: string;
  /** Service name. */
  readonly service: string;
  readonly tags: readonly string[];
  /** IP literal or host name; undefined: the agent's own. */
  readonly address: string | undefined;
  readonly port: number;
  /** 1..65535, for passing and warning alike. */
  readonly weight: number;
  readonly meta: Readonly<Record<string, string>>;
  /** The port speaks mutual TLS of Consul Connect. */
  readonly isNative: boolean;
  /** Milliseconds. */
  readonly ttl: number;
  /** Milliseconds; Consul's minimum is one minute. */
  readonly deregisterAfter: number;
  /** host:port that the agent probes; undefined: no TCP check. */
  readonly tcpCheck: string | undefined;
}

/** One of our entries as the agent holds it. */
export interface HeldService {
  readonly id: string;
  readonly service: string;
  readonly tags: readonly string[];
  readonly address: string | undefined;
  readonly port: number;
  readonly weight: number;
  readonly meta: Readonly<Record<string, string>>;
  readonly isNative: boolean;
}

/** A check as the agent holds it. */
export interface HeldCheck {
  readonly checkId: string;
  /** "": a check of the machine. */
  readonly serviceId: string;
  readonly status: string;
  /** Of a maintenance check: the reason that was given. */
  readonly notes: string;
  readonly output: string;
}

/** All our ids have this prefix. Nomad removes only ids that begin with `_nomad-task-`. */
export const ID_PREFIX = "srv-epmd:";

export function serviceId(instance: string, aliveName: string, suffix = ""): string {
  return `${ID_PREFIX}${instance}:${aliveName}${suffix}`;
}

/** The TTL check. The id is given: Consul's own ids (`:1`, `:2`) would change with a TCP check beside it. */
export function ttlCheckId(id: string): string {
  return `service:${id}`;
}

/** Output of the TTL check of a node whose VM has left its srv-epmd; the entry is removed some seconds later. */
export const LEFT_NOTE = "the VM has left srv-epmd";

/** Whether a srv-epmd has withdrawn an entry: another one may be critical because nobody refreshes it. */
export function isWithdrawn(id: string, checks: readonly HeldCheck[]): boolean {
  return checks.some(({ checkId, status, output }) => {
    return checkId === ttlCheckId(id) && status === "critical" && output.trim() === LEFT_NOTE;
  });
}

export function tcpCheckId(id: string): string {
  return `service:${id}:tcp`;
}

/** Ids of the services whose TTL check is critical. Other checks say nothing about the daemon that keeps the entry. */
export function criticalIds(checks: readonly HeldCheck[]): Set<string> {
  const critical = checks.filter(({ checkId, serviceId, status }) => {
    return checkId === ttlCheckId(serviceId) && status === "critical";
  });
  return new Set(critical.map(({ serviceId }) => serviceId));
}

/** Undefined for an entry that has no node name in its meta. */
export function aliveNameOf(held: HeldService): string | undefined {
  const node = held.meta[META_NODE];
  const at = node?.indexOf("@") ?? -1;
  return node !== undefined && at > 0 ? node.slice(0, at) : undefined;
}

/** As the agent tells it, and complete enough to be registered once more. */
export function foundEntry(
  held: HeldService,
  checks: readonly Pick<HeldCheck, "checkId">[],
  { ttl, deregisterAfter }: Pick<ServiceEntry, "ttl" | "deregisterAfter">,
): ServiceEntry {
  const hasTcpCheck = checks.some(({ checkId }) => checkId === tcpCheckId(held.id));
  return {
    ...held,
    ...{ ttl, deregisterAfter },
    aliveName: aliveNameOf(held) ?? "",
    tcpCheck: hasTcpCheck ? hostPort(held.address ?? "127.0.0.1", held.port) : undefined,
  };
}

/**
 * Whether the agent holds what is wanted, or still holds what it held. Tags are a set to Consul. The time is not
 * compared: an entry that outlives a restart of the daemon keeps its first time.
 */
export function sameEntry(entry: HeldService, held: HeldService): boolean {
  const meta = metaKeys(entry);
  return (
    entry.service === held.service &&
    entry.address === held.address &&
    entry.port === held.port &&
    entry.weight === held.weight &&
    entry.isNative === held.isNative &&
    entry.tags.length === held.tags.length &&
    entry.tags.every((tag) => held.tags.includes(tag)) &&
    meta.length === metaKeys(held).length &&
    meta.every((key) => entry.meta[key] === held.meta[key])
  );
}

function metaKeys({ meta }: Pick<HeldService, "meta">): string[] {
  return Object.keys(meta).filter((key) => key !== META_SINCE);
}

/**
 * The entry with an id that no other daemon has, `srv-epmd:<instance>~<hash>:<name>`, for an id that another live daemon
 * holds: in two network namespaces with one host name, for example.
 * @param owner META_OWNER of this daemon's entries
 */
export function withDistinctId(entry: ServiceEntry, owner: string): ServiceEntry {
  const at = entry.id.lastIndexOf(`:${entry.aliveName}`);
  const hash = fnv1a(owner).toString(16).padStart(8, "0");
  return { ...entry, id: `${entry.id.slice(0, at)}~${hash}${entry.id.slice(at)}` };
}

/** Characters of a check's output or notes in a message. */
const MAX_WORDS = 120;
/** Ids of the checks that `consul maint` makes (https://developer.hashicorp.com/consul/commands/maint). */
const MACHINE_MAINTENANCE = "_node_maintenance";
const SERVICE_MAINTENANCE = "_service_maintenance:";
/** The check by which Consul's servers say whether they reach the agent of a machine. */
const AGENT_CHECK = "serfHealth";

export interface Obstacle {
  /** `agent`: Consul's servers do not reach the agent of its machine. */
  readonly kind: "maintenance" | "tcp" | "agent" | "other";
  /** Its id. */
  readonly check: string;
  readonly words: string;
  /** Id of the entry whose check it is; absent: it is one of the machine, and keeps out all entries there. */
  readonly entry?: string;
}

/**
 * Why Consul's DNS leaves out an entry whose TTL check passes: another check of the entry or of the machine is critical.
 * Maintenance is somebody's wish, so it is told before what else may fail meanwhile.
 * The only check of an entry that another program made may have the id of our TTL check, for Consul names it so.
 */
export function obstacleOf(serviceId: string, checks: readonly HeldCheck[]): Obstacle | undefined {
  const all = checks.filter((check) => {
    const concerns = check.serviceId === serviceId || check.serviceId === "";
    const isOwn = serviceId.startsWith(ID_PREFIX) && check.checkId === ttlCheckId(serviceId);
    return concerns && check.status === "critical" && !isOwn;
  });
  const critical = all.find(isMaintenance) ?? all[0];
  if (!critical) return undefined;
  const { checkId, notes, output } = critical;
  const ofMachine = critical.serviceId === "";
  const kind = isMaintenance(critical) ? "maintenance" : kindOf(checkId, serviceId, ofMachine);
  const told = { kind, check: checkId, ...(!ofMachine && { entry: critical.serviceId }) };
  return { ...told, words: `${obstacleWords(told)}${said(kind === "maintenance" ? notes : output)}` };
}

function kindOf(checkId: string, serviceId: string, ofMachine: boolean): Obstacle["kind"] {
  if (ofMachine && checkId === AGENT_CHECK) return "agent";
  return checkId === tcpCheckId(serviceId) ? "tcp" : "other";
}

/** Without what the check says, which is not for everybody. */
export function withoutOutput({ words: _, ...told }: Obstacle): Obstacle {
  return { ...told, words: obstacleWords(told) };
}

function obstacleWords({ kind, check, entry }: Omit<Obstacle, "words">): string {
  if (kind === "maintenance") {
    const [what, mode] =
      entry === undefined ? ["the machine", "node maintenance"] : ["the entry", "service maintenance"];
    return `${what} is in Consul's maintenance mode (${mode}, consul maint, check ${check})`;
  }
  return `${entry === undefined ? "the machine's check" : "its check"} ${check} is critical`;
}

function isMaintenance({ checkId }: HeldCheck): boolean {
  return checkId === MACHINE_MAINTENANCE || checkId.startsWith(SERVICE_MAINTENANCE);
}

function said(text: string): string {
  const line = quotation(text, MAX_WORDS);
  return line === "" ? "" : `: ${line}`;
}
