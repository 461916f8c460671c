import type { LookUp } from "../../daemon/core/observations.js";
import { askerWords } from "./look-ups.js";

/** One who asked, the node it asked for, and what came of it. */
export interface Pair {
  readonly asker: string;
  readonly here: boolean;
  readonly node: string;
  readonly count: number;
  /** The newest one. */
  readonly last: LookUp;
}

/** An end of lines: where it stands in its column. */
export interface End {
  readonly name: string;
  readonly here: boolean;
}

export interface Picture {
  readonly askers: readonly End[];
  readonly nodes: readonly End[];
  readonly links: readonly (Pair & { readonly from: number; readonly to: number })[];
  /** Pairs that are not in it. */
  readonly more: number;
}

/** Who asked for whom, the newest pair first. @param lookUps newest first */
export function pairsOf(lookUps: readonly LookUp[]): Pair[] {
  const pairs = new Map<string, Pair>();
  for (const last of lookUps) {
    const key = JSON.stringify([last.here, askerWords(last), last.node]);
    const known = pairs.get(key);
    pairs.set(
      key,
      known === undefined
        ? { asker: askerWords(last), here: last.here, node: last.node, count: 1, last }
        : { ...known, count: known.count + 1 },
    );
  }
  return [...pairs.values()];
}

/** Puts the newest pairs into two columns, each in an order in which few lines cross. */
export function pictureOf(pairs: readonly Pair[], limit: number): Picture {
  const shown = pairs.slice(0, limit);
  const askers = distinct(shown.map(({ asker, here }) => ({ name: asker, here }))).sort(
    (a, b) => Number(b.here) - Number(a.here) || compare(a.name, b.name),
  );
  const fromOf = (pair: Pair) => askers.findIndex(({ name, here }) => name === pair.asker && here === pair.here);
  const placed = shown.map((pair) => ({ ...pair, from: fromOf(pair) }));
  /** Where the lines to a node come from, on the average. */
  const middle = (node: string) => {
    const ends = placed.filter((pair) => pair.node === node);
    return ends.reduce((sum, { from }) => sum + from, 0) / ends.length;
  };
  const nodes = distinct(shown.map(({ node }) => ({ name: node, here: false })))
    .map((end) => ({ end, middle: middle(end.name) }))
    .sort((a, b) => a.middle - b.middle || compare(a.end.name, b.end.name))
    .map(({ end }) => end);
  const links = placed.map((pair) => ({ ...pair, to: nodes.findIndex(({ name }) => name === pair.node) }));
  return { askers, nodes, links, more: pairs.length - shown.length };
}

function distinct(ends: readonly End[]): End[] {
  return [...new Map(ends.map((end) => [JSON.stringify([end.here, end.name]), end])).values()];
}

/** By code unit: an update must not move what has not changed. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
