import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";

/** A VM here, and whether it or the node says that the two are linked. */
export interface VmWord {
  readonly aliveName: string;
  /** Undefined: neither tells. */
  readonly isLinked: boolean | undefined;
}

/** An established connection between a VM here and the place of the node, or its machine. */
export interface SeenConnection {
  /** Undefined: the gateway's relay, or this user may not see whose it is. */
  readonly aliveName: string | undefined;
  /** `10.0.0.1:40000` */
  readonly local: string;
  readonly remote: string;
  /** The VM here was dialled, from a port that tells nothing: another node of that machine may have done so. */
  readonly isInbound: boolean;
  /** The node was found there before, and is not found there now. */
  readonly isFormer: boolean;
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
  /** VMs here of which it is known that they are not, where that is so of all, and no handshake is seen. */
  readonly unlinked: readonly string[];
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
  const links = linked.flatMap((name) => linkWords(name, of([name])));
  const dialled = of(unlinked).filter(({ isInbound }) => !isInbound);
  const words = [
    ...(links.length > 0 ? [`a link stands: ${listed(links)}`] : []),
    ...[false, true].flatMap((isInbound) => doubtWords(doubtful.filter((one) => one.isInbound === isInbound))),
    // One from its machine is that of another node there, for all that is known.
    ...(dialled.length > 0
      ? [`a connection stands that is no link: ${listed(wordsOf(dialled))}; its handshake is not done, or fails`]
      : []),
  ];
  const none: readonly string[] = [];
  if (links.length > 0) {
    const others =
      unlinked.length === 0 ? [] : [`${listed(unlinked)} here ${unlinked.length === 1 ? "has" : "have"} none`];
    return { state: "linked", linked, unlinked: none, words: [...words, ...others] };
  }
  if (doubtful.length > 0) return { state: "connected", linked, unlinked: none, words };
  if (untold.length === 0 && vms.length > 0) {
    return {
      state: "none",
      linked,
      unlinked: dialled.length > 0 ? none : unlinked,
      words: [...words, `no link with the node stands here: so says ${listed(unlinked)}`],
    };
  }
  if (isPlaceKnown || vms.length === 0) {
    return { state: "none", linked, unlinked: none, words: [...words, "no link with the node is seen here"] };
  }
  return { state: "unknown", linked, unlinked: none, words };
}

/** A VM that has dialled the node has no other link with it. */
function linkWords(name: string, its: readonly SeenConnection[]): string[] {
  const dialled = its.filter(({ isInbound }) => !isInbound);
  return its.length === 0 ? [`${name} says so`] : wordsOf(dialled.length > 0 ? dialled : its, "one of ");
}

/** @param some all of one direction */
function doubtWords(some: readonly SeenConnection[]): string[] {
  const [first] = some;
  if (!first) return [];
  const other = first.isInbound ? ", one with another node there" : "";
  return [
    `a connection stands: ${listed(wordsOf(some))}; whether it is a link${other} or an unfinished handshake is not known`,
  ];
}

/** @param which `one of ` where only one of several connections can be meant */
function wordsOf(connections: readonly SeenConnection[], which = ""): string[] {
  const dialled = connections.filter(({ isInbound }) => !isInbound);
  const into = grouped(
    connections.filter(({ isInbound }) => isInbound),
    ({ aliveName = "", isFormer }) => `${aliveName} ${isFormer}`,
  );
  return [
    ...dialled.map(({ aliveName, local, remote, isFormer }) => {
      return `from ${aliveName ?? local} to ${remote}${isFormer ? " (where it was found before)" : ""}`;
    }),
    ...Array.from(into.values(), (some) => {
      const [{ aliveName, local, isFormer }, ...others] = some;
      const remotes = `${others.length > 0 ? which : ""}${listed(some.map(({ remote }) => remote))}`;
      return `from ${isFormer ? "the machine where it was found before" : "its machine"} (${remotes}) to ${aliveName ?? local}`;
    }),
  ];
}
