import { askHttp } from "../admin/client.js";
import type { Status } from "../admin/core/status.js";
import { record } from "../api/core/json.js";
import type { Config } from "../config/config.js";
import { type IpPort, isAliveName } from "../config/network-values.js";
import { knowsFullNames, names, portPlease } from "../epmd/client.js";
import type { RegisteredNode } from "../epmd/core/registry.js";
import { type NamedPort, SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { decodeEndpoints } from "../epmd/wire/responses.js";
import { EpmdError } from "../errors.js";
import type { Family } from "../net/endpoint.js";
import { hostPort, isLoopback, isWildcard } from "../net/ip.js";
import { findListener, type ListeningProcess } from "../os/sockets.js";

/** What listens where VMs of one family register and ask. */
export interface Holder {
  /** `127.0.0.1:4369` */
  readonly at: string;
  readonly kind:
    | "srv-epmd"
    /** An EPMD that does not understand full names. */
    | "stock"
    | "nothing"
    /** The machine has no such address. */
    | "no-address"
    /** It accepts connections and does not answer. */
    | "silent"
    /** Another program. */
    | "other";
  readonly names: readonly NamedPort[];
  /** The process that listens there; undefined where this user may not see it. */
  readonly process: ListeningProcess | undefined;
}

export interface LocalEpmd {
  readonly port: number;
  /** At 127.0.0.1 and at ::1. */
  readonly holders: readonly [Holder, Holder];
  /** The one with which VMs here register: at 127.0.0.1, else at ::1. */
  readonly holder: Holder;
}

/** An EPMD on this machine answers at once, unless the machine is busy. Milliseconds. */
const ASK_TIMEOUT = 2_000;

/** Looks at both loopbacks. Never rejects. */
export async function lookAtEpmd(port: number): Promise<LocalEpmd> {
  const holders = await Promise.all([lookAt("127.0.0.1", port), lookAt("::1", port)]);
  const [four, six] = holders;
  return { port, holders, holder: isListening(four) || !isListening(six) ? four : six };
}

export function isListening({ kind }: Pick<Holder, "kind">): boolean {
  return kind !== "nothing" && kind !== "no-address";
}

/** What listens at an address of this machine. Never rejects. @param isAgain it has answered, and then closed a connection */
export async function lookAt(address: string, port: number, isAgain = false): Promise<Holder> {
  const at = hostPort(address, port);
  const seen = (kind: Holder["kind"], listed: readonly NamedPort[] = []): Holder => {
    return { at, kind, names: listed, process: findListener(port, address) };
  };
  let answered = false;
  try {
    const epmd = { address, port };
    const answer = await names(epmd, { timeout: ASK_TIMEOUT });
    answered = true;
    const isOurs = await knowsFullNames(epmd, { timeout: ASK_TIMEOUT });
    return seen(isOurs ? "srv-epmd" : "stock", answer.names);
  } catch (error) {
    if (!(error instanceof EpmdError)) return seen("other");
    if (error.code === "EPMD_TIMEOUT") return seen("silent");
    // It has stopped between the two questions.
    if (answered && !isAgain) return lookAt(address, port, true);
    if (error.code !== "EPMD_UNREACHABLE") return seen("other");
    const { code } = error.cause as NodeJS.ErrnoException;
    if (code === "ECONNRESET" || code === "EPIPE") return seen("other");
    return { at, kind: code === "ECONNREFUSED" ? "nothing" : "no-address", names: [], process: undefined };
  }
}

/** ` (process 17: /usr/bin/epmd)`, or nothing where the process is not known. */
export function processWords(process: ListeningProcess | undefined): string {
  return process ? ` (process ${process.pid}: ${process.command})` : "";
}

/** The status waits for Consul, 2 s at most, and a gateway's for its relay process; a look-up takes some seconds. Milliseconds. */
const STATUS_TIMEOUT = 5_000;
/** Enough for thousands of nodes. The port may belong to another program that sends more. Bytes. */
const MOST_BYTES = 8 * 1024 * 1024;

/** What doctor reads of it. */
export type DaemonReport = Pick<Status, "epmd" | "readiness" | "nodes"> &
  // Of an older version some may be missing.
  Partial<
    Pick<
      Status,
      | "dns"
      | "consul"
      | "nomad"
      | "domains"
      | "mesh"
      | "lookUps"
      | "cluster"
      | "followed"
      | "links"
      | "resolver"
      | "relays"
    >
  >;

/** The status of the daemon at --admin; undefined where none answers. It may belong to another EPMD port. */
export async function daemonStatus({ admin }: Pick<Config, "admin">): Promise<DaemonReport | undefined> {
  const said = (await askDaemon(admin, "/v1/status")) as Partial<DaemonReport> | undefined;
  const isStatus = Array.isArray(said?.readiness?.checks) && Array.isArray(said?.nodes);
  return typeof said?.epmd?.port === "number" && isStatus ? (said as DaemonReport) : undefined;
}

/** How the daemon finds a node. */
export type DaemonAnswer =
  | { readonly outcome: "found"; readonly endpoints: readonly IpPort[] }
  | { readonly outcome: "not-found" | "unavailable"; readonly reason: string | undefined };

/** How the daemon at --admin finds a node; undefined where it does not tell. It does not count as a look-up of a VM. */
export async function resolvedByDaemon(
  { admin }: Pick<Config, "admin">,
  node: string,
): Promise<DaemonAnswer | undefined> {
  const { outcome, endpoints, reason, cause } =
    (await askDaemon(admin, `/v1/resolve?node=${encodeURIComponent(node)}`)) ?? {};
  if (outcome === "found" && Array.isArray(endpoints)) return { outcome, endpoints: endpoints.filter(isPlace) };
  if (outcome !== "not-found" && outcome !== "unavailable") return undefined;
  const why = reason ?? cause;
  return { outcome, reason: typeof why === "string" ? why : undefined };
}

function isPlace(value: unknown): value is IpPort {
  const { address, port } = (value ?? {}) as Record<string, unknown>;
  return typeof address === "string" && typeof port === "number";
}

/** A JSON object that the daemon answers; undefined where none comes in time. */
async function askDaemon(admin: Config["admin"], path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (!admin) return undefined;
  const answer = await askHttp(admin, path, { timeout: STATUS_TIMEOUT, limit: MOST_BYTES });
  return answer.outcome === "answered" ? record(answer.json) : undefined;
}

interface Reachability {
  /** Addresses at which a port listens. */
  readonly addresses: readonly string[];
  /** Other machines cannot connect. */
  readonly loopbackOnly: boolean;
}

/** From where a port can be reached. */
export function reachability(listeners: readonly IpPort[], port: number): Reachability {
  const addresses = Array.from(new Set(listeners.filter((one) => one.port === port).map(({ address }) => address)));
  return {
    addresses,
    loopbackOnly: addresses.length > 0 && addresses.every((address) => isLoopback(address) && !isWildcard(address)),
  };
}

export const NO_NODE = "no node is registered here";

/** A node that is registered here. EPMD does not tell its creation and since when it lives: both are 0. */
export type LocalNode = RegisteredNode;

/** @returns whether one of the nodes has a name */
export function nameIn(nodes: readonly LocalNode[]): (aliveName: string) => boolean {
  const names = new Set(nodes.map(({ aliveName }) => aliveName));
  return (aliveName) => names.has(aliveName);
}

const NODE_TIMEOUT = 1_000;
/** Nodes that the checks look at: each costs a connection to the EPMD, and more in some checks. */
export const MOST_NODES = 32;

/** The nodes of the EPMD here. Only a srv-epmd tells the family of a registration, and an address elsewhere. Never rejects. */
export async function nodesOf(
  { port, holder, holders }: LocalEpmd,
  listeners: readonly IpPort[] | undefined,
): Promise<LocalNode[]> {
  const address = holder === holders[0] ? "127.0.0.1" : "::1";
  const named = holder.names.filter(({ name }) => isAliveName(name)).slice(0, MOST_NODES);
  return Promise.all(
    named.map(async ({ name, port: own }): Promise<LocalNode> => {
      const told = holder.kind === "srv-epmd" ? await ask(address, port, name) : [];
      const elsewhere = told.find((endpoint) => !isLoopback(endpoint.address));
      // A VM with -proto_dist inet6_tcp listens on `::`.
      const seen: Family = listeners && reachability(listeners, own).addresses.includes("::") ? 6 : 4;
      return {
        ...{ aliveName: name, port: own, family: told[0]?.family ?? seen, origin: "alive2", creation: 0, since: 0 },
        ...SYNTHETIC_DESCRIPTION,
        ...(elsewhere && { address: elsewhere.address }),
      };
    }),
  );
}

/** A srv-epmd answers a full name with endpoints: the loopbacks of the family, or where the node lives. */
async function ask(address: string, port: number, aliveName: string) {
  try {
    const answer = await portPlease({ address, port }, `${aliveName}@localhost`, {
      timeout: NODE_TIMEOUT,
      // It is no look-up of a VM.
      forwarded: true,
    });
    return answer ? decodeEndpoints(answer.extra) : [];
  } catch {
    return [];
  }
}
