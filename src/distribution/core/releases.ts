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

/** Flags by the names that erl_dist_protocol has for them: `DFLAG_UNLINK_ID, DFLAG_V4_NC` */
export function flagWords(flags: readonly string[]): string {
  return flags.map((flag) => `DFLAG_${flag}`).join(", ");
}

/** The flags for whose lack one node refuses another. Empty: it accepts it, or its release is not known. */
export function refusedFor(one: Released, other: Released): string[] {
  const release = Number(one.release ?? 0);
  return DEMANDS.filter(([flag, first]) => release >= first && !other.flags.includes(flag)).map(([flag]) => flag);
}
