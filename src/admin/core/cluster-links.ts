import { areLinkedByThemselves } from "../../distribution/core/self-linking.js";
import { aliveNameOf, type ClusterPicture, type PlacedNode } from "./cluster-picture.js";
import type { NodeLinks } from "./status.js";

/**
 * How two nodes stand, by what their VMs say. `missing`: they are not linked, and should be. `apart`: they are not linked,
 * and nothing would link them: one of them may be linked with another VM of the other's name. `one-sided`: only one of two
 * VMs that were asked has the other in its list. `unknown`: it is not told.
 */
export type LinkState = "linked" | "one-sided" | "missing" | "apart" | "unknown";

/** A node of the picture, as the end of links. */
export interface LinkEnd {
  readonly placed: PlacedNode;
  /** As the picture has it. */
  readonly machine: string;
  /** What its VM says; undefined: it was not asked. */
  readonly told: NodeLinks | undefined;
  /** Names that it is linked with: of two VMs of one name it can be linked with one. */
  readonly linked: number;
  /** Names that it should be linked with, and is not. */
  readonly missing: number;
}

export interface ClusterLinks {
  /** The nodes in the order of the picture. */
  readonly ends: readonly LinkEnd[];
  readonly between: (one: LinkEnd, other: LinkEnd) => LinkState;
  /** Pairs that should be linked and are not, each pair of names once. */
  readonly missing: readonly (readonly [LinkEnd, LinkEnd])[];
  /** Names of the nodes. */
  readonly names: number;
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

  const missing = new Map<string, readonly [LinkEnd, LinkEnd]>();
  const missingNames = new Map<Writable<LinkEnd>, Set<string>>();
  /** Pairs of names, at least one of them that of two VMs, of which a link is seen. */
  const linkedTwins = new Set<string>();
  const tellers = new Set(ends.filter((end) => seen.get(end)?.list));
  const done = new Set<LinkEnd>();
  for (const one of tellers) {
    done.add(one);
    const own = seen.get(one);
    if (!own) continue;
    const linkedNames = new Set<string>();
    const lacks = new Set<string>();
    for (const [other, its] of seen as ReadonlyMap<Writable<LinkEnd>, Seen>) {
      if (other === one) continue;
      const link = stateBetween(own, its);
      const isLinked = link === "linked" || (link === "unknown" && lists(own, its));
      if (isLinked) linkedNames.add(its.key);
      if (isLinked && !tellers.has(other)) other.linked++;
      const isSeen = isLinked || link === "one-sided";
      if (isSeen && (own.isTwice || its.isTwice)) linkedTwins.add(pairKey(own.key, its.key));
      if (link !== "missing") continue;
      lacks.add(its.key);
      if (!tellers.has(other)) other.missing++;
      const key = pairKey(own.key, its.key);
      if (!done.has(other) && !missing.has(key)) missing.set(key, [one, other]);
    }
    one.linked = linkedNames.size;
    missingNames.set(one, lacks);
  }
  for (const [one, lacks] of missingNames) {
    const own = one.placed.node.toLowerCase();
    one.missing = Array.from(lacks).filter((name) => !linkedTwins.has(pairKey(own, name))).length;
  }
  const known = new Set(Array.from(seen.values()).flatMap(({ names }) => names));
  const linked = links.flatMap((one) => (one.state === "told" ? one.linked : []));
  const times = links.flatMap((one) => (one.state === "told" ? one.at : []));
  return {
    ends,
    between,
    missing: Array.from(missing).flatMap(([key, pair]) => (linkedTwins.has(key) ? [] : [pair])),
    names: new Set(Array.from(seen.values(), ({ key }) => key)).size,
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
  /** Its name in the picture, in lower case. */
  readonly key: string;
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
  const key = placed.node.toLowerCase();
  const list = told?.state === "told" ? keys(told.linked) : undefined;
  return { key, names: namesOf(end), list, hidden: placed.hidden || (told?.hidden ?? false), isPublished, isTwice };
}

function pairKey(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}

/** Undefined: it does not tell. */
function lists({ list }: Seen, { names }: Seen): boolean | undefined {
  return list && names.some((name) => list.has(name));
}

function stateBetween(one: Seen, other: Seen): LinkState {
  // Two nodes of one name cannot be linked.
  if (one.names.some((name) => other.names.includes(name))) return "apart";
  const there = lists(one, other);
  const back = lists(other, one);
  if (there === undefined && back === undefined) return "unknown";
  if (there && back) return "linked";
  if (isWithTwin(there, other) || isWithTwin(back, one)) {
    return there === undefined || back === undefined ? "unknown" : "apart";
  }
  if (there !== false && back !== false) return "linked";
  if (there || back) return "one-sided";
  // Who does not tell may be linked with the other VM of the name.
  if ((there === undefined && other.isTwice) || (back === undefined && one.isTwice)) return "unknown";
  const arePublished = one.isPublished && other.isPublished;
  return arePublished && areLinkedByThemselves(one, other) ? "missing" : "apart";
}

/** Who lists the name of two VMs is linked with one of them, which need not be this one. */
function isWithTwin(isListed: boolean | undefined, { isTwice }: Seen): boolean {
  return isListed === true && isTwice;
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
