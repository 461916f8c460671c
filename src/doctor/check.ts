import type { Finding } from "./core/finding.js";
import type { Examination } from "./examination.js";

/** One question of the examination. */
export interface Check {
  /** Stable: scripts and the manual name it. */
  readonly id: string;
  /** What is looked at, for the manual. */
  readonly title: string;
  readonly run: (examination: Examination) => Promise<Finding>;
}
