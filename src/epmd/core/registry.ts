import type { Family } from "../../net/endpoint.js";
import type { NodeDescription } from "../../resolve/core/resolution.js";

/** A node that is alive here. */
export interface RegisteredNode extends NodeDescription {
  readonly aliveName: string;
  /** The port in ALIVE2_REQ: where the VM listens. */
  readonly port: number;
  readonly creation: number;
  /** Family over which it registered: an IPv6 VM (inet6_tcp) comes to ::1. */
  readonly family: Family;
  /** The address of the node's machine when that is not ours: `--allow` lets such peers register. */
  readonly address?: string;
  /** The peer (`ip:port`) whose EPMD connection holds the name; undefined when no connection does. */
  readonly connection?: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** `configured`: from --publish-node; the VM's own registration replaces it. */
  readonly origin: "alive2" | "configured";
}

/** NodeType in ALIVE2_REQ (ERTS User's Guide, "EPMD Protocol"): 77 is a normal node. */
const NODE_TYPE_HIDDEN = 72;

/** C nodes register as hidden; a VM registers as a normal node, with `-hidden` too (erl_epmd:do_register_node/3). */
export function isHiddenNode({ nodeType }: Pick<RegisteredNode, "nodeType">): boolean {
  return nodeType === NODE_TYPE_HIDDEN;
}

/** A name that was registered before: DUMP lists it, and the next registration of the name gets its creation plus one. */
export interface FormerNode {
  readonly aliveName: string;
  readonly port: number;
  readonly creation: number;
}

export type RegistryEvent = { readonly type: "registered" | "unregistered"; readonly node: RegisteredNode };

export type Registration = Omit<RegisteredNode, "creation" | "since">;

/** epmd_srv.c keeps more than 1000 names before it reuses the oldest (MAX_UNREG_COUNT). */
const MAX_FORMER = 1000;
/** Creations 0..3 are those of the old 2-bit form. */
const FIRST_CREATION = 4;

/** The nodes alive here, newest last. Pure: time comes in with each call. */
export class Registry {
  readonly #alive = new Map<string, RegisteredNode>();
  readonly #former = new Map<string, FormerNode>();
  readonly #listeners = new Set<(event: RegistryEvent) => void>();

  get(aliveName: string): RegisteredNode | undefined {
    return this.#alive.get(aliveName);
  }

  /** Whether a node of the name is alive here. */
  readonly isAlive = (aliveName: string): boolean => this.#alive.has(aliveName);

  get size(): number {
    return this.#alive.size;
  }

  /** Newest first, as stock EPMD lists them. */
  nodes(): RegisteredNode[] {
    return Array.from(this.#alive.values()).reverse();
  }

  /** Oldest first, as stock EPMD lists them. */
  former(): FormerNode[] {
    return Array.from(this.#former.values());
  }

  /** @returns undefined when a live node has the name. @param now milliseconds since the epoch */
  register(registration: Registration, now: number): RegisteredNode | undefined {
    const { aliveName } = registration;
    const holder = this.#alive.get(aliveName);
    if (holder) {
      if (holder.origin !== "configured" || registration.origin === "configured") return undefined;
      this.unregister(holder);
    }
    const before = this.#former.get(aliveName);
    const node = { ...registration, creation: nextCreation(before?.creation, now), since: now };
    this.#former.delete(aliveName);
    this.#alive.set(aliveName, node);
    this.#emit({ type: "registered", node });
    return node;
  }

  /** Removes this registration; a later one of the same name is left alone. */
  unregister(node: RegisteredNode): void {
    if (this.#alive.get(node.aliveName) !== node) return;
    this.#alive.delete(node.aliveName);
    this.#former.set(node.aliveName, { aliveName: node.aliveName, port: node.port, creation: node.creation });
    if (this.#former.size > MAX_FORMER) {
      const oldest = this.#former.keys().next();
      if (!oldest.done) this.#former.delete(oldest.value);
    }
    this.#emit({ type: "unregistered", node });
  }

  /** @returns a function that ends the subscription */
  subscribe(listener: (event: RegistryEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #emit(event: RegistryEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** The unix time plus one for a new name, else one more than before: no two incarnations have the same creation. */
function nextCreation(before: number | undefined, now: number): number {
  const next = before === undefined ? Math.floor(now / 1000) + 1 : before + 1;
  return next > 0xffffffff ? FIRST_CREATION : Math.max(next, FIRST_CREATION);
}
