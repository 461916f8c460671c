/** Something that is wrong, in words for people: what it is, and what to do. */
export interface Problem {
  /** Stable: src/help/status.md has them all. */
  readonly code: string;
  /** `error`: nodes are not found, or two have one name. `warning`: it may become so, or it was so a moment ago. */
  readonly level: "error" | "warning";
  /** With a full stop. */
  readonly sentence: string;
  /** What to do, with a full stop. */
  readonly advice: string;
  /** The nodes that it is about, as they are shown elsewhere; empty where it is about none in particular. */
  readonly nodes: readonly string[];
  /** When it was seen last, milliseconds since the epoch. Absent: it is so now. */
  readonly at?: number;
}

/** What a rule has found. */
export type FoundProblem = Omit<Problem, "code" | "level">;
