import { isVm } from "../wire/handshake.js";

/** A node as its handshake, and where it was joined its VM, show it. */
export interface Released {
  /** Names of its distribution flags. */
  readonly flags: readonly string[];
  /** `27`; undefined: it is not known. */
  readonly release: string | undefined;
}

/** Flags that a release demands of its peers, and the first one that does (dist.hrl: DFLAGS_MANDATORY). */
const DEMANDS: readonly (readonly [flag: string, release: number])[] = [
  ["HANDSHAKE_23", 25],
  ["BIG_CREATION", 25],
  ["UNLINK_ID", 26],
  ["V4_NC", 26],
  ["MANDATORY_25_DIGEST", 27],
];

/** Flags that no release before that one has. */
const NEW_IN: readonly (readonly [flag: string, release: number])[] = [
  ["NATIVE_RECORDS", 29],
  ["ALTACT_SIG", 28],
  ["MANDATORY_25_DIGEST", 25],
];

/** Flags by the names that erl_dist_protocol has for them: `DFLAG_UNLINK_ID, DFLAG_V4_NC` */
export function flagWords(flags: readonly string[]): string {
  return flags.map((flag) => `DFLAG_${flag}`).join(", ");
}

/** The oldest release that a node can be by its flags; 0: one that demands nothing, or no VM. */
function oldestRelease(flags: readonly string[]): number {
  const [, release] = (isVm(flags) && NEW_IN.find(([flag]) => flags.includes(flag))) || ["", 0];
  return release;
}

/**
 * The flags for whose lack one node refuses another. Empty: it accepts it, or that is not known: by their flags OTP 25, 26 and
 * 27 are the same, and demand different ones.
 */
export function refusedFor(one: Released, other: Released): string[] {
  const release = Number(one.release ?? oldestRelease(one.flags));
  return DEMANDS.filter(([flag, first]) => release >= first && !other.flags.includes(flag)).map(([flag]) => flag);
}
