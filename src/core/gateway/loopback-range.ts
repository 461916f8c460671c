import { type Cidr, cidrContains, isLoopback, parseCidr } from "../ip.js";
import { ValueError } from "../values.js";

/** Addresses that other programs have, and must not be taken from them: 127.0.0.1, 127.0.0.53 (systemd), 127.0.1.1 (Debian). */
const COMMON_LOOPBACKS: Cidr = { bytes: [127, 0, 0, 0], prefix: 16 };
/** Fewer addresses than this (/24) would soon be used up, collisions included. */
const LONGEST_RANGE_PREFIX = 24;

/** A part of 127.0.0.0/8 apart from 127.0.0.0/16, with its host bits cleared. */
export function loopbackRange(value: string): Cidr {
  const range = parseCidr(value);
  const first = range?.bytes.map((byte, index) => byte & maskOctet(range.prefix, index));
  if (!range || !first || range.prefix < 8 || !isLoopback(range.bytes.join("."))) {
    throw new ValueError("must be a range of IPv4 loopback addresses such as 127.64.0.0/10");
  }
  if (cidrContains(COMMON_LOOPBACKS, first.join("."))) {
    throw new ValueError(
      "has 127.0.0.x in it, which others use (127.0.0.1, 127.0.0.53, 127.0.1.1); 127.64.0.0/10 is free",
    );
  }
  if (range.prefix > LONGEST_RANGE_PREFIX) {
    throw new ValueError(`has ${2 ** (32 - range.prefix)} addresses; give at least 256, such as 127.64.0.0/10`);
  }
  return { bytes: first, prefix: range.prefix };
}

function maskOctet(prefix: number, index: number): number {
  return 0xff & (0xff << (8 - Math.min(8, Math.max(0, prefix - index * 8))));
}
