import { Buffer } from "node:buffer";
import { decodeUtf8, uint16, uint32 } from "../../epmd/wire/codec.js";
import { ProtocolError } from "../../errors.js";
import { inBounds } from "./bounds.js";

/**
 * The distribution handshake of the node that connects (ERTS User's Guide, "Distribution Protocol"; kernel's
 * dist_util.erl). We send send_name, the node sends a status and a challenge: no cookie is needed up to there. With the
 * cookie we send a reply with our own challenge, and the node acknowledges.
 */

/** 5: `n` messages, up to OTP 22. 6: `N` messages, since OTP 23. */
export type DistVersion = 5 | 6;

/** Octets of the length before each message: two over TCP (inet_tcp_dist), four over TLS (inet_tls_dist). */
export type LengthOctets = 2 | 4;

/** The longest message is a challenge with a name of 255 characters; a greater length is another protocol. */
const MAX_MESSAGE = 1280;

export interface SendName {
  readonly version: DistVersion;
  readonly flags: bigint;
  /** 32 bits; only version 6 carries it. */
  readonly creation: number;
  readonly name: string;
  /** Zero octets behind the name, which only version 6 allows: a node ignores them (dist_util:recv_name_new/2). */
  readonly padding?: number | undefined;
}

/** The message with its length before it. */
export function encodeSendName(
  { version, flags, creation, name, padding = 0 }: SendName,
  lengthOctets: LengthOctets,
): Buffer {
  const bytes = Buffer.from(name);
  const body =
    version === 6
      ? // dist_util:send_name/1: <<$N, Flags:64, Creation:32, NameLen:16>>, name
        Buffer.concat([
          Buffer.from("N"),
          uint64(flags),
          uint32(creation),
          uint16(bytes.length),
          bytes,
          Buffer.alloc(padding),
        ])
      : // dist_util:recv_name_old/2: <<$n, Version:16, Flags:32>>, name to the end
        Buffer.concat([Buffer.from("n"), uint16(5), uint32(Number(flags & 0xffff_ffffn)), bytes]);
  return framed(body, lengthOctets);
}

function framed(body: Buffer, lengthOctets: LengthOctets): Buffer {
  return Buffer.concat([lengthOctets === 2 ? uint16(body.length) : uint32(body.length), body]);
}

type Framed =
  | { readonly kind: "message"; readonly message: Buffer; readonly rest: Buffer }
  | { readonly kind: "more" }
  /** No message begins like this. */
  | { readonly kind: "invalid" };

/** Takes the first message off the bytes that a node has sent. */
export function readMessage(bytes: Buffer, lengthOctets: LengthOctets): Framed {
  if (bytes.length < lengthOctets) return { kind: "more" };
  const length = bytes.readUIntBE(0, lengthOctets);
  if (length === 0 || length > MAX_MESSAGE) return { kind: "invalid" };
  const end = lengthOctets + length;
  if (bytes.length < end) return { kind: "more" };
  return { kind: "message", message: bytes.subarray(lengthOctets, end), rest: bytes.subarray(end) };
}

/** dist_util:send_status/2. */
export type Status =
  /** `ok_simultaneous`: the node was about to connect to the same name. A challenge follows both. */
  | { readonly status: "ok" | "ok_simultaneous" }
  /** `nok`: it is connecting to that name. `not_allowed`: the name is not in net_kernel:allow/1, or flags are missing. */
  | { readonly status: "nok" | "not_allowed" }
  /** That name is connected already; the node waits for `true` or `false`. */
  | { readonly status: "alive" }
  /** The name that it gives to a node that asked for one. A challenge follows. */
  | { readonly status: "named"; readonly name: string; readonly creation: number };

const STATUSES = ["ok", "ok_simultaneous", "nok", "not_allowed", "alive"] as const;
const NAMED = Buffer.from("named:");

/** @throws ProtocolError DIST_MESSAGE */
export function decodeStatus(message: Buffer): Status {
  if (message[0] !== 0x73 /* s */) throw new ProtocolError("DIST_MESSAGE", "not a status message");
  const said = message.subarray(1);
  if (said.subarray(0, NAMED.length).equals(NAMED)) {
    return inBounds(said.subarray(NAMED.length), (reader) => ({
      status: "named",
      name: nameOf(reader.counted()),
      creation: reader.uint32(),
    }));
  }
  const text = said.toString("latin1");
  const status = STATUSES.find((known) => known === text);
  if (status === undefined) throw new ProtocolError("DIST_MESSAGE", `unknown status ${JSON.stringify(text)}`);
  return { status };
}

export interface Challenge {
  readonly version: DistVersion;
  readonly flags: bigint;
  /** 32 bits; the digest of the cookie is made with it. */
  readonly challenge: number;
  /** Undefined in version 5. */
  readonly creation: number | undefined;
  /** Full name of the node: a VM that wanted another name closes here (dist_util:recv_challenge/1). */
  readonly name: string;
}

/** @throws ProtocolError DIST_MESSAGE */
export function decodeChallenge(message: Buffer): Challenge {
  return inBounds(message, (reader) => {
    const tag = reader.uint8();
    if (tag === 0x4e /* N */) {
      // <<$N, Flags:64, Challenge:32, Creation:32, NameLen:16>>, name; more may follow
      const flags = reader.take(8).readBigUInt64BE();
      const challenge = reader.uint32();
      const creation = reader.uint32();
      return { version: 6, flags, challenge, creation, name: nameOf(reader.counted()) };
    }
    if (tag !== 0x6e /* n */) throw new ProtocolError("DIST_MESSAGE", "not a challenge message");
    // <<$n, Version:16, Flags:32, Challenge:32>>, name to the end
    reader.uint16();
    const flags = BigInt(reader.uint32());
    const challenge = reader.uint32();
    return { version: 5, flags, challenge, creation: undefined, name: nameOf(reader.remaining()) };
  });
}

/** dist_util writes names with atom_to_binary/2: latin1, or utf8 for a name that it gives. */
function nameOf(bytes: Buffer): string {
  const name = decodeUtf8(bytes) ?? bytes.toString("latin1");
  if (!/^[^@]+@[^@]+$/.test(name))
    throw new ProtocolError("DIST_MESSAGE", `${JSON.stringify(name)} is not a node name`);
  return name;
}

/** Octets of an MD5 digest. */
const DIGEST = 16;

/**
 * What follows a challenge (dist_util:send_complement/2, send_challenge_reply/3), with the lengths.
 * @param said our send_name
 * @param theirs flags of the node
 * @param challenge ours, 32 bits
 * @param digest of the cookie and the node's challenge
 */
export function encodeChallengeReply(
  { version, flags, creation }: SendName,
  theirs: bigint,
  { challenge, digest }: { readonly challenge: number; readonly digest: Buffer },
  lengthOctets: LengthOctets,
): Buffer {
  const isAmended = version === 5 && (theirs & DIST_FLAG.HANDSHAKE_23) !== 0n;
  // <<$c, FlagsHigh:32, Creation:32>>: what an `n` has no place for.
  const complement = Buffer.concat([Buffer.from("c"), uint32(Number(flags >> 32n)), uint32(creation)]);
  const reply = Buffer.concat([Buffer.from("r"), uint32(challenge), digest]);
  return Buffer.concat([...(isAmended ? [framed(complement, lengthOctets)] : []), framed(reply, lengthOctets)]);
}

/** The digest in challenge_ack, of the cookie and our challenge. @throws ProtocolError DIST_MESSAGE */
export function decodeChallengeAck(message: Buffer): Buffer {
  return inBounds(message, (reader) => {
    if (reader.uint8() !== 0x61 /* a */) throw new ProtocolError("DIST_MESSAGE", "not an acknowledgement");
    return reader.take(DIGEST);
  });
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

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
  /** OTP 28: priority messages. */
  ALTACT_SIG: 0x20_0000_0000n,
  /** OTP 29. */
  NATIVE_RECORDS: 0x40_0000_0000n,
} as const;

type DistFlag = keyof typeof DIST_FLAG;

/** What releases up to OTP 29 demand of a node that connects (dist.hrl: DFLAGS_MANDATORY; OTP 22 demands a part). */
export const MANDATORY: readonly DistFlag[] = [
  ...(["EXTENDED_REFERENCES", "FUN_TAGS", "EXTENDED_PIDS_PORTS", "NEW_FUN_TAGS", "EXPORT_PTR_TAG"] as const),
  ...(["BIT_BINARIES", "NEW_FLOATS", "UTF8_ATOMS", "MAP_TAG", "BIG_CREATION", "HANDSHAKE_23"] as const),
  ...(["MANDATORY_25_DIGEST", "V4_NC", "UNLINK_ID"] as const),
];

/**
 * Flags of a probe, and of a link that it makes. Without the mandatory ones the node refuses it and logs an error; without PUBLISHED it is a
 * hidden node; without DIST_HDR_ATOM_CACHE and FRAGMENTS a linked node sends whole messages with whole atoms.
 */
export const ASKING_FLAGS = MANDATORY.reduce((flags, name) => flags | DIST_FLAG[name], 0n);

/** The names of the flags that are set, in the order of the table. */
export function flagNames(flags: bigint): DistFlag[] {
  return (Object.keys(DIST_FLAG) as DistFlag[]).filter((name) => (flags & DIST_FLAG[name]) !== 0n);
}

/**
 * Whether a node with these flags is a VM. The libraries for C and Java nodes, which are hidden, cannot put fragments
 * together, as every VM since OTP 22 does.
 */
export function isVm(flags: readonly string[]): boolean {
  return flags.includes("PUBLISHED") || flags.includes("FRAGMENTS");
}

/** Flags by their names. Others than those of the table are left out. */
export function flagsOf(names: readonly string[]): bigint {
  const all = Object.entries(DIST_FLAG).filter(([name]) => names.includes(name));
  return all.reduce((flags, [, flag]) => flags | flag, 0n);
}

/** The flags of a node for somebody who asks in its place: not to be listed in nodes(), and not to be given a name. */
export function withoutOwn(flags: bigint): bigint {
  return flags & ~(DIST_FLAG.PUBLISHED | DIST_FLAG.NAME_ME);
}

/** The releases whose nodes have these flags. */
export function releaseOf(flags: bigint): string {
  const has = (flag: DistFlag) => (flags & DIST_FLAG[flag]) !== 0n;
  if (has("NATIVE_RECORDS")) return "OTP 29 or newer";
  if (has("ALTACT_SIG")) return "OTP 28";
  if (has("MANDATORY_25_DIGEST")) return "OTP 25, 26 or 27";
  if (!has("HANDSHAKE_23")) return "OTP 22 or older";
  return has("V4_NC") ? "OTP 24" : "OTP 23";
}
