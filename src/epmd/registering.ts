import { connect } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { familyOf } from "../net/ip.js";
import { Sampling } from "../sampling.js";
import type { RegisteredNode, Registry } from "./core/registry.js";
import { formatPeer, type Peer } from "./peer.js";
import type { Alive2Request } from "./wire/messages.js";

/** The connection on which a registration is asked for. */
export interface Holding {
  /** Names that it holds already. */
  readonly names: number;
  readonly isOpen: () => boolean;
}

export type Registered =
  | { readonly outcome: "registered"; readonly node: RegisteredNode }
  /** Answered with an error, as a name that is taken is. */
  | { readonly outcome: "refused" }
  /** Closed without an answer, as a peer is that is not local: who asks may not register. */
  | { readonly outcome: "denied"; readonly reason: string };

/** Registers a node for a local peer, or does not, and logs why. */
export type Register = (request: Alive2Request, peer: Peer, holding: Holding) => Registered | Promise<Registered>;

export interface RegisteringDeps {
  readonly registry: Registry;
  /** Names that can be registered at once. */
  readonly maxNodes: number;
  /** Users whose processes may register; undefined: any. */
  readonly uids: ReadonlySet<number> | undefined;
  /** User of the process at the other end; undefined for one that is not on this machine. */
  readonly uidOf: (peer: Peer) => Promise<number | undefined>;
  /** Nothing listens there: its machine says so. */
  readonly isClosed: (at: IpPort) => Promise<boolean>;
  /** Ends the connection that holds a node. */
  readonly release: (node: RegisteredNode) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

/** A VM has one name; a few more do no harm. */
export const MAX_NAMES = 16;

/**
 * Milliseconds in which a name gives way once to a registration with the holder's own port. Two VMs behind one address
 * (SNAT), with the same name and port, come back 2 s after each loss: they would take the name from each other for ever.
 */
const GIVE_WAY_PAUSE = 30_000;
/** Names of which the last giving way is remembered. */
const MAX_GAVE_WAY = 1000;

const REFUSED: Registered = { outcome: "refused" };

export function createRegister(deps: RegisteringDeps): Register {
  const { registry, maxNodes, uids, now, log } = deps;
  const sampling = new Sampling();
  /** When a name last gave way to a registration with the holder's port, the oldest first. */
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

  /** A refused VM comes again every 2 s. */
  const tell = (kind: string, what: object, why: string) => {
    const leftOut = sampling.take(kind, now());
    if (leftOut === undefined) return;
    log.warn({ ...what, ...(leftOut > 0 && { leftOut }) }, `registration refused: ${why}`);
  };

  const register = (request: Alive2Request, peer: Peer): Registered => {
    const { type: _, ...registration } = request;
    if (registry.size >= maxNodes && !registry.get(request.aliveName)) {
      const what = { node: request.aliveName, port: request.port, peer: formatPeer(peer) };
      tell("nodes", what, `${maxNodes} nodes are registered (--max-nodes)`);
      return REFUSED;
    }
    const family = familyOf(peer.dialled) ?? 4;
    const elsewhere = peer.sameHost ? {} : { address: peer.address };
    const held = { ...registration, family, origin: "alive2", ...elsewhere, connection: formatPeer(peer) } as const;
    const node = registry.register(held, now());
    if (node) return { outcome: "registered", node };
    const { aliveName, port } = request;
    const holder = registry.get(aliveName)?.port;
    tell(`taken ${aliveName}`, { node: aliveName, port, holder }, "another node has the name");
    return REFUSED;
  };

  /** When a dead VM's machine or the way to it has gone, nothing ends its connection; its successor is to get the name. */
  const giveWay = async (request: Alive2Request, peer: Peer): Promise<void> => {
    const holder = registry.get(request.aliveName);
    if (!isOfPeer(holder, peer)) return;
    // Where this VM listens no other does: it is the holder itself, come back, or what came after it.
    const isSame = holder.port === request.port;
    // A probe would not help: the port that it finds closed or open is the port of both.
    if (isSame && gaveWayLately(holder.aliveName)) return;
    if (!isSame && !(await deps.isClosed({ address: holder.address, port: holder.port }))) return;
    if (registry.get(request.aliveName) !== holder) return;
    const { aliveName: node, port, address } = holder;
    const why = isSame ? "it has come back" : "nothing listens at its port";
    log.info(
      { node, port, address },
      `the holder of the name gives way to a new registration from its machine: ${why}`,
    );
    if (isSame) rememberGivingWay(node);
    deps.release(holder);
  };

  const denial = async (request: Alive2Request, peer: Peer): Promise<string | undefined> => {
    if (!uids) return undefined;
    const uid = await deps.uidOf(peer);
    // A peer on another machine has no user here; --allow has let it in.
    if (uid === undefined ? !peer.sameHost : uids.has(uid)) return undefined;
    const why =
      uid === undefined
        ? "the user of its process cannot be told, and --register-uid wants one of those it names"
        : `--register-uid does not name the user ${uid} of its process`;
    tell(`uid ${uid}`, { node: request.aliveName, port: request.port, peer: formatPeer(peer), uid }, why);
    return why;
  };

  const registerLate = async (request: Alive2Request, peer: Peer, { isOpen }: Holding): Promise<Registered> => {
    const reason = await denial(request, peer);
    if (reason !== undefined) return { outcome: "denied", reason };
    if (isOpen()) await giveWay(request, peer);
    // What is registered now would never be unregistered.
    return isOpen() ? register(request, peer) : { outcome: "denied", reason: "the connection has ended" };
  };

  return (request, peer, holding) => {
    const { aliveName: node, port } = request;
    if (holding.names >= MAX_NAMES) {
      tell(
        "names",
        { node, port, peer: formatPeer(peer) },
        `its connection holds ${MAX_NAMES} names, and a VM has one`,
      );
      return REFUSED;
    }
    // At once where nothing is to be asked: a VM waits for it.
    return uids || isOfPeer(registry.get(node), peer) ? registerLate(request, peer, holding) : register(request, peer);
  };
}

/** Whether the holder of a name has registered from the machine of this peer, which is another one than ours. */
function isOfPeer(
  holder: RegisteredNode | undefined,
  { sameHost, address }: Peer,
): holder is RegisteredNode & { readonly address: string } {
  return holder?.address !== undefined && !sameHost && holder.address === address;
}

/** A VM waits 10 s for the answer to its registration (erl_epmd.erl). Milliseconds. */
const CONNECT_TIMEOUT = 2_000;

/**
 * Whether nothing listens at a port: the machine refuses the connection. Silence, or no way to it, says nothing of whoever
 * may listen there: a firewall, a backlog that is full.
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
    // Stays for an error after the end: without a listener that would be thrown.
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code === "ECONNREFUSED"));
  });
}
