import type { Records } from "../dns/resolver.js";
import type { Addresses } from "./addresses.js";

/** CNAMEs inside one additional section. */
const MAX_ALIASES = 8;

/** The addresses of an SRV target that came along in the additional section; empty when there are none. */
export function glueOf(target: string, { additionals, stale }: Pick<Records, "additionals" | "stale">): Addresses {
  let owner = target;
  let ttl = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const name = owner;
    const cname = additionals.find((record) => record.type === "CNAME" && record.owner === name);
    if (cname?.type !== "CNAME") break;
    owner = cname.target;
    ttl = Math.min(ttl, cname.ttl);
  }
  const records = additionals.flatMap((record) =>
    (record.type === "A" || record.type === "AAAA") && record.owner === owner ? [record] : [],
  );
  return {
    addresses: records.map(({ address }) => address),
    ttl: Math.min(ttl, ...records.map((record) => record.ttl)),
    stale,
    unavailable: undefined,
  };
}
