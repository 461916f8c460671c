/**
 * Distribution flags, with the names of kernel's dist.hrl: what a node is, and which nodes it can connect to.
 * Up to OTP 22 a node has the low 32 of the 64 bits only.
 */
export const DIST_FLAG = {
  /** The node is listed in nodes(); hidden nodes and C nodes do not have the flag. */
  PUBLISHED: 0x1n,
  EXTENDED_REFERENCES: 0x4n,
  FUN_TAGS: 0x10n,
  NEW_FUN_TAGS: 0x80n,
  EXTENDED_PIDS_PORTS: 0x100n,
  EXPORT_PTR_TAG: 0x200n,
  BIT_BINARIES: 0x400n,
  NEW_FLOATS: 0x800n,
  UTF8_ATOMS: 0x1_0000n,
  MAP_TAG: 0x2_0000n,
  BIG_CREATION: 0x4_0000n,
  FRAGMENTS: 0x80_0000n,
  /** The handshake of version 6. */
  HANDSHAKE_23: 0x100_0000n,
  UNLINK_ID: 0x200_0000n,
  /** Stands for all flags that OTP 25 demands of its peers; OTP 27 demands this flag itself. */
  MANDATORY_25_DIGEST: 0x400_0000n,
  SPAWN: 0x1_0000_0000n,
  /** The node asks for a name, as `-sname undefined` does. */
  NAME_ME: 0x2_0000_0000n,
  V4_NC: 0x4_0000_0000n,
  ALIAS: 0x8_0000_0000n,
} as const;

type DistFlag = keyof typeof DIST_FLAG;

/** What releases up to OTP 29 demand of a node that connects (dist.hrl: DFLAGS_MANDATORY; OTP 22 demands a part). */
const MANDATORY: readonly DistFlag[] = [
  ...(["EXTENDED_REFERENCES", "FUN_TAGS", "EXTENDED_PIDS_PORTS", "NEW_FUN_TAGS", "EXPORT_PTR_TAG"] as const),
  ...(["BIT_BINARIES", "NEW_FLOATS", "UTF8_ATOMS", "MAP_TAG", "BIG_CREATION", "HANDSHAKE_23"] as const),
  ...(["MANDATORY_25_DIGEST", "V4_NC", "UNLINK_ID"] as const),
];

/** Flags of a probe. Without the mandatory ones the node refuses it and logs an error; without PUBLISHED it is a hidden node. */
export const ASKING_FLAGS = MANDATORY.reduce((flags, name) => flags | DIST_FLAG[name], 0n);

/** The names of the flags that are set, in the order of the table. */
export function flagNames(flags: bigint): DistFlag[] {
  return (Object.keys(DIST_FLAG) as DistFlag[]).filter((name) => (flags & DIST_FLAG[name]) !== 0n);
}

/** The releases whose nodes have these flags. */
export function releaseOf(flags: bigint): string {
  if ((flags & DIST_FLAG.MANDATORY_25_DIGEST) !== 0n) return "OTP 25 or newer";
  return (flags & DIST_FLAG.HANDSHAKE_23) !== 0n ? "OTP 23 or 24" : "OTP 22 or older";
}
