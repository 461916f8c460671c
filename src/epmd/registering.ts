import { connect } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { familyOf, hostPort } from "../net/ip.js";
import { Sampling } from "../sampling.js";
import type { RegisteredNode, Registry } from "./core/registry.js";
import type { Peer } from "./peer.js";
import type { Alive2Request } from "./wire/messages.js";

/** The connection that asks for a registration. */
export interface Holding {
  /** How many names it holds. */
  readonly names: number;
  readonly isOpen: () => boolean;
}

export type Registered =
  | { readonly outcome: "registered"; readonly node: RegisteredNode }
  /** Answered with result 1: the name is taken, or there is no room for it. */
  | { readonly outcome: "refused" }
  /** Closed without an answer: this peer may not register (`uid`), or its connection has ended meanwhile (`gone`). */
  | { readonly outcome: "denied"; readonly reason: "uid" | "gone" };

/** Registers a node for a local peer, or logs why it does not. */
export type Register = (request: Alive2Request, peer: Peer, holding: Holding) => Registered | Promise<Registered>;

export interface RegisteringDeps {
  readonly registry: Registry;
  /** Names that can be registered at once. */
  readonly maxNodes: number;
  /** Users whose processes may register; undefined: any. */
  readonly uids: ReadonlySet<number> | undefined;
  /** The user of the process at the other end; undefined when it is not on this machine. */
  readonly uidOf: (peer: Peer) => Promise<number | undefined>;
  /** Whether the machine at that address says that nothing listens at the port. */
  readonly isClosed: (at: IpPort) => Promise<boolean>;
  /** Ends the connection that holds a node. */
  readonly release: (node: RegisteredNode) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Names on one connection. A VM has one. */
const MAX_NAMES = 16;

/**
 * Milliseconds in which a registration with the holder's own port may replace the holder once. Two VMs behind one address
 * (SNAT), with the same name and port, come back 2 s after each loss: they would take the name from each other for ever.
 */
const GIVE_WAY_PAUSE = 30_000;
/** Names whose last replacement is remembered. */
const MAX_GAVE_WAY = 1000;

const REFUSED: Registered = { outcome: "refused" };

export function createRegister(deps: RegisteringDeps): Register {
  const { registry, maxNodes, uids, now, log } = deps;
  const sampling = new Sampling();
  /** When a registration with the holder's port last replaced the holder, by name, the oldest first. */
  const gaveWay = new Map<string, number>();

  const gaveWayLately = (aliveName: string) => {
    const elapsed = now() - (gaveWay.get(aliveName) ?? Number.NEGATIVE_INFINITY);
    return elapsed >= 0 && elapsed < GIVE_WAY_PAUSE;
  };

  const rememberGivingWay = (aliveName: string) => {
    gaveWay.delete(aliveName);
    gaveWay.set(aliveName, now());
    for (const name of gaveWay.keys()) {
      if (gaveWay.size <= MAX_GAVE_WAY && gaveWayLately(name)) break;
      gaveWay.delete(name);
    }
  };

  /** Sampled, because a refused VM retries every 2 s. */
  const logRefusal = (kind: string, fields: object, why: string) => {
    const leftOut = sampling.take(kind, now());
    if (leftOut === undefined) return;
    log.warn({ ...fields, ...(leftOut > 0 && { leftOut }) }, `registration refused: ${why}`);
  };

  const register = (request: Alive2Request, peer: Peer): Registered => {
    const { type: _, ...registration } = request;
    if (registry.size >= maxNodes && !registry.get(request.aliveName)) {
      const fields = { node: request.aliveName, port: request.port, peer: hostPort(peer) };
      logRefusal("nodes", fields, `${maxNodes} nodes are registered (--max-nodes)`);
      return REFUSED;
    }
    const family = familyOf(peer.dialled) ?? 4;
    const elsewhere = peer.sameHost ? {} : { address: peer.address };
    const held = { ...registration, family, origin: "alive2", ...elsewhere, connection: hostPort(peer) } as const;
    const node = registry.register(held, now());
    if (node) return { outcome: "registered", node };
    const { aliveName, port } = request;
    const holderPort = registry.get(aliveName)?.port;
    logRefusal(`taken ${aliveName}`, { node: aliveName, port, holderPort }, "another node has the name");
    return REFUSED;
  };

  /** A machine that loses power or its network closes no connection: the next VM at its address replaces the holder. */
  const giveWay = async (request: Alive2Request, peer: Peer): Promise<void> => {
    const holder = registry.get(request.aliveName);
    if (!isOfPeer(holder, peer)) return;
    // Two VMs cannot listen at one port: this is the holder itself, or its successor.
    const isSame = holder.port === request.port;
    // A probe tells nothing here: both have the same port.
    if (isSame && gaveWayLately(holder.aliveName)) return;
    if (!isSame && !(await deps.isClosed({ address: holder.address, port: holder.port }))) return;
    if (registry.get(request.aliveName) !== holder) return;
    const { aliveName: node } = holder;
    const why = isSame ? "the node has come back" : "nothing listens at the holder's port";
    log.info(
      { node, address: hostPort(holder) },
      `a new registration from the same machine replaces the holder of the name: ${why}`,
    );
    if (isSame) rememberGivingWay(node);
    deps.release(holder);
  };

  const mayRegister = async ({ aliveName: node, port }: Alive2Request, peer: Peer): Promise<boolean> => {
    if (!uids) return true;
    const uid = await deps.uidOf(peer);
    // A peer on another machine has no user here: --allow decides for it.
    if (uid === undefined ? !peer.sameHost : uids.has(uid)) return true;
    const why =
      uid === undefined
        ? "the user of its process is unknown, and --register-uid is given"
        : `--register-uid does not name the user ${uid} of its process`;
    logRefusal(`uid ${uid}`, { node, port, peer: hostPort(peer), uid }, why);
    return false;
  };

  const registerLate = async (request: Alive2Request, peer: Peer, { isOpen }: Holding): Promise<Registered> => {
    if (!(await mayRegister(request, peer))) return { outcome: "denied", reason: "uid" };
    if (isOpen()) await giveWay(request, peer);
    // A node that is registered after its connection has ended would never be unregistered.
    return isOpen() ? register(request, peer) : { outcome: "denied", reason: "gone" };
  };

  return (request, peer, holding) => {
    const { aliveName: node, port } = request;
    if (holding.names >= MAX_NAMES) {
      logRefusal("names", { node, port, peer: hostPort(peer) }, `its connection holds ${MAX_NAMES} names`);
      return REFUSED;
    }
    // At once where nothing has to be asked first: the VM waits for the answer.
    return uids || isOfPeer(registry.get(node), peer) ? registerLate(request, peer, holding) : register(request, peer);
  };
}

/** Whether the holder of a name registered from the machine of this peer, and that machine is not ours. */
function isOfPeer(
  holder: RegisteredNode | undefined,
  { sameHost, address }: Peer,
): holder is RegisteredNode & { readonly address: string } {
  return holder?.address !== undefined && !sameHost && holder.address === address;
}

/** A VM waits 10 s for the answer to its registration (erl_epmd.erl). Milliseconds. */
const CONNECT_TIMEOUT = 2_000;

/**
 * Whether nothing listens at a port: its machine refuses the connection. Silence and errors of the network do not count:
 * a firewall or a full backlog looks the same.
 * @param limit milliseconds
 */
export function isClosedPort({ address, port }: IpPort, limit = CONNECT_TIMEOUT): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: limit });
    const done = (closed: boolean) => {
      socket.destroy();
      resolve(closed);
    };
    socket.once("connect", () => done(false));
    socket.once("timeout", () => done(false));
    // This listener stays: an error that comes later would be thrown without one.
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code === "ECONNREFUSED"));
  });
}
