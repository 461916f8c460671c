import type { Finding } from "../core/doctor/finding.js";
import type { Examination } from "./examination.js";

/** One question of the examination. */
export interface Check {
  /** Stable: scripts and the README name it. */
  readonly id: string;
  /** What is looked at, for the README. */
  readonly title: string;
  readonly run: (examination: Examination) => Promise<Finding>;
}
