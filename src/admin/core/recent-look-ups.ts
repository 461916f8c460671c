import type { LookUp } from "../../daemon/core/observations.js";

/** Look-ups that are kept, and searched. */
const KEPT = 500;
/** Look-ups that are shown or listed at once. */
export const SHOWN = 100;

/** The last look-ups. */
export class RecentLookUps {
  readonly #kept: LookUp[] = [];
  /** Where the next one goes, in place of the oldest when all places are taken. */
  #next = 0;

  add(lookUp: LookUp): void {
    this.#kept[this.#next] = lookUp;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Newest first. */
  list(): LookUp[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)].reverse();
  }
}

/** Which look-ups are shown: `stale` are those that got the last good answer. */
export const KINDS = ["all", "failed", "found", "stale"] as const;

export interface LookUpFilter {
  /** Words, each of which must be in what is shown of a look-up, whatever its case. */
  readonly text: string;
  readonly kind: (typeof KINDS)[number];
}

/** A user's longest search, characters. */
const LONGEST_TEXT = 200;

/** Reads the query of the page: `?q=node_b 10.0.0.9&show=failed`. What is no filter filters nothing. */
export function lookUpFilter(query: Pick<URLSearchParams, "get">): LookUpFilter {
  const text = (query.get("q") ?? "").trim().slice(0, LONGEST_TEXT);
  return { text, kind: KINDS.find((kind) => kind === query.get("show")) ?? "all" };
}

export interface FoundLookUps {
  readonly filter: LookUpFilter;
  /** Newest first, at most SHOWN. */
  readonly shown: readonly LookUp[];
  /** Of the look-ups with the words, by kind. */
  readonly counts: Readonly<Record<LookUpFilter["kind"], number>>;
  /** All that were searched. */
  readonly of: number;
}

/** @param lookUps newest first */
export function findLookUps(lookUps: readonly LookUp[], filter: LookUpFilter): FoundLookUps {
  const words = filter.text.toLowerCase().split(/\s+/);
  const matching = lookUps.filter((lookUp) => {
    const text = textOf(lookUp);
    return words.every((word) => text.includes(word));
  });
  const ofKind = (kind: LookUpFilter["kind"]) => matching.filter((lookUp) => isOfKind(lookUp, kind));
  return {
    filter,
    shown: ofKind(filter.kind).slice(0, SHOWN),
    counts: {
      all: matching.length,
      failed: ofKind("failed").length,
      found: ofKind("found").length,
      stale: ofKind("stale").length,
    },
    of: lookUps.length,
  };
}

function isOfKind({ outcome, stale }: LookUp, kind: LookUpFilter["kind"]): boolean {
  switch (kind) {
    case "all":
      return true;
    case "found":
      return outcome === "found";
    case "failed":
      return outcome !== "found";
    case "stale":
      return stale;
    default:
      return kind satisfies never;
  }
}

/** What the page shows of a look-up, in lower case. */
function textOf({ node, asker, here, way, outcome, source, port, endpoints, reason }: LookUp): string {
  const place = here ? "this machine" : "";
  const parts = [node, asker, place, way, outcome.replace("-", " "), source, port, ...endpoints, reason];
  return parts
    .filter((part) => part !== undefined)
    .join(" ")
    .toLowerCase();
}
