import { areLinkedByThemselves } from "../../distribution/core/self-linking.js";
import { aliveNameOf, type ClusterPicture, type PlacedNode } from "./cluster-picture.js";
import type { NodeLinks } from "./status.js";

/**
 * How two nodes stand, by what their VMs say. `missing`: they are not linked, and should be. `apart`: they are not linked,
 * and nothing would link them. `one-sided`: only one of two VMs that were asked has the other in its list. `unknown`:
 * neither tells.
 */
export type LinkState = "linked" | "one-sided" | "missing" | "apart" | "unknown";

/** A node of the picture, as the end of links. */
export interface LinkEnd {
  readonly placed: PlacedNode;
  /** As the picture has it. */
  readonly machine: string;
  /** What its VM says; undefined: it was not asked. */
  readonly told: NodeLinks | undefined;
  readonly linked: number;
  /** Nodes that it should be linked with, and is not. */
  readonly missing: number;
}

export interface ClusterLinks {
  /** The nodes in the order of the picture. */
  readonly ends: readonly LinkEnd[];
  readonly between: (one: LinkEnd, other: LinkEnd) => LinkState;
  /** Pairs that should be linked and are not, each once. */
  readonly missing: readonly (readonly [LinkEnd, LinkEnd])[];
  /** Names of nodes that nodes here are linked with, and that are not in the picture. */
  readonly beyond: readonly string[];
  /** When the oldest of the answers was given, ISO 8601; undefined: no VM tells. */
  readonly asOf: string | undefined;
}

/** Who is linked with whom, by what the VMs here say. */
export function clusterLinks({ machines }: ClusterPicture, links: readonly NodeLinks[]): ClusterLinks {
  const toldBy = new Map(links.map((one) => [one.name, one]));
  const ends = machines.flatMap(({ machine, nodes }) =>
    nodes.map((placed): Writable<LinkEnd> => {
      const told = placed.here ? toldBy.get(aliveNameOf(placed.node) || placed.node) : undefined;
      return { placed, machine, told, linked: 0, missing: 0 };
    }),
  );
  // Of thousands of nodes there are hundreds of thousands of pairs: what is asked of each is found once.
  const seen = new Map(ends.map((end): [LinkEnd, Seen] => [end, seenOf(end)]));
  const between = (one: LinkEnd, other: LinkEnd): LinkState => {
    const [a, b] = [seen.get(one), seen.get(other)];
    return a && b ? stateBetween(a, b) : "unknown";
  };

  const missing: (readonly [LinkEnd, LinkEnd])[] = [];
  const tellers = new Set(ends.filter((end) => seen.get(end)?.list));
  const done = new Set<LinkEnd>();
  for (const one of tellers) {
    done.add(one);
    const own = seen.get(one);
    for (const [other, its] of seen as ReadonlyMap<Writable<LinkEnd>, Seen>) {
      if (other === one || !own) continue;
      const link = stateBetween(own, its);
      if (link === "linked") one.linked++;
      if (link === "linked" && !tellers.has(other)) other.linked++;
      if (link !== "missing") continue;
      one.missing++;
      if (!tellers.has(other)) other.missing++;
      if (!done.has(other)) missing.push([one, other]);
    }
  }
  const known = new Set(Array.from(seen.values()).flatMap(({ names }) => names));
  const linked = links.flatMap((one) => (one.state === "told" ? one.linked : []));
  const times = links.flatMap((one) => (one.state === "told" ? one.at : []));
  return {
    ends,
    between,
    missing,
    beyond: Array.from(new Set(linked)).filter((name) => !known.has(name.toLowerCase())),
    asOf: times.sort()[0],
  };
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function keys(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}

/** Its name in the picture, and that which its VM has. */
function namesOf({ placed, told }: LinkEnd): readonly string[] {
  const own = told?.state === "told" ? [told.node.toLowerCase()] : [];
  return Array.from(new Set([placed.node.toLowerCase(), ...own]));
}

/** What decides about each pair of which a node is part. */
interface Seen {
  readonly names: readonly string[];
  /** Names that its VM is linked with; undefined: it does not tell. */
  readonly list: ReadonlySet<string> | undefined;
  readonly hidden: boolean;
  readonly isPublished: boolean;
  readonly isTwice: boolean;
}

function seenOf(end: LinkEnd): Seen {
  const { placed, told } = end;
  const { isPublished, isTwice } = placed;
  const list = told?.state === "told" ? keys(told.linked) : undefined;
  return { names: namesOf(end), list, hidden: placed.hidden || (told?.hidden ?? false), isPublished, isTwice };
}

/** Undefined: it does not tell, or there are two nodes of this name. */
function sees({ list }: Seen, { names, isTwice }: Seen): boolean | undefined {
  const isSeen = list && names.some((name) => list.has(name));
  return isSeen && isTwice ? undefined : isSeen;
}

function stateBetween(one: Seen, other: Seen): LinkState {
  // Two nodes of one name cannot be linked.
  if (one.names.some((name) => other.names.includes(name))) return "apart";
  const there = sees(one, other);
  const back = sees(other, one);
  if (there === undefined && back === undefined) return "unknown";
  if (there !== false && back !== false) return "linked";
  if (there || back) return "one-sided";
  const arePublished = one.isPublished && other.isPublished;
  return arePublished && areLinkedByThemselves(one, other) ? "missing" : "apart";
}

/** A node, and those that it should be linked with and is not. */
export interface Unlinked {
  readonly end: LinkEnd;
  readonly others: readonly LinkEnd[];
}

/** Missing links by node, so that few nodes have them all: a node that has lost its cluster is named once. */
export function unlinkedNodes(missing: ClusterLinks["missing"], most: number): Unlinked[] {
  const found: Unlinked[] = [];
  let rest = missing;
  while (rest.length > 0 && found.length < most) {
    const counts = new Map<LinkEnd, number>();
    for (const end of rest.flat()) counts.set(end, (counts.get(end) ?? 0) + 1);
    const [worst] = Array.from(counts).reduce((a, b) => (b[1] > a[1] ? b : a));
    const own = rest.filter((pair) => pair.includes(worst));
    found.push({ end: worst, others: own.map(([one, other]) => (one === worst ? other : one)) });
    rest = rest.filter((pair) => !pair.includes(worst));
  }
  return found;
}
