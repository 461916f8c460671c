import { listed } from "../../text.js";

/** A VM here, and whether it or the node says that the two are linked. */
export interface VmWord {
  readonly aliveName: string;
  /** Undefined: neither tells. */
  readonly isLinked: boolean | undefined;
}

/** An established connection between a VM here and the place of the node. */
export interface SeenConnection {
  /** `from node_a to 10.0.0.2:9100` */
  readonly words: string;
  /** Undefined: the gateway's relay, or this user may not see whose it is. */
  readonly aliveName: string | undefined;
}

interface SeenOfNode {
  readonly vms: readonly VmWord[];
  readonly connections: readonly SeenConnection[];
  /** The node answers at the place where connections were looked for. */
  readonly isPlaceKnown: boolean;
}

export interface LinksKnown {
  /** `connected`: there is a connection, and nobody tells whether it is a link. */
  readonly state: "linked" | "connected" | "none" | "unknown";
  /** VMs here that are linked with the node. */
  readonly linked: readonly string[];
  /** None where nothing is known. */
  readonly words: readonly string[];
}

/**
 * What is known of the links between the VMs here and a node. The kernel has a connection before its handshake is done,
 * and where that fails too, so only the VMs themselves can say that it is a link.
 */
export function linksWith({ vms, connections, isPlaceKnown }: SeenOfNode): LinksKnown {
  const named = (isLinked: boolean | undefined) =>
    vms.filter((vm) => vm.isLinked === isLinked).map(({ aliveName }) => aliveName);
  const [linked, unlinked, untold] = [named(true), named(false), named(undefined)];
  const of = (names: readonly (string | undefined)[]) =>
    connections.filter(({ aliveName }) => names.includes(aliveName));
  const doubtful = of([undefined, ...untold]);
  const unseen = linked.filter((name) => of([name]).length === 0);
  const links = [...of(linked).map(({ words }) => words), ...unseen.map((name) => `${name} says so`)];
  const words = [
    ...(links.length > 0 ? [`a link stands: ${listed(links)}`] : []),
    ...(doubtful.length > 0
      ? [`a connection stands: ${wordsOf(doubtful)}; whether it is a link or an unfinished handshake is not known`]
      : []),
    ...(of(unlinked).length > 0
      ? [`a connection stands that is no link: ${wordsOf(of(unlinked))}; its handshake is not done, or fails`]
      : []),
  ];
  if (links.length > 0) return { state: "linked", linked, words };
  if (doubtful.length > 0) return { state: "connected", linked, words };
  if (untold.length === 0 && vms.length > 0) {
    return {
      state: "none",
      linked,
      words: [...words, `no link with the node stands here: so says ${listed(unlinked)}`],
    };
  }
  if (isPlaceKnown || vms.length === 0) {
    return { state: "none", linked, words: [...words, "no link with the node is seen here"] };
  }
  return { state: "unknown", linked, words };
}

const wordsOf = (connections: readonly SeenConnection[]) => listed(connections.map(({ words }) => words));
