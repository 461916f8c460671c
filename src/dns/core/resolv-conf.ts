import { parseIp } from "../../net/ip.js";
import { canonicalName } from "../wire/record.js";

/** resolv.conf(5), as far as a stub resolver needs it. */
export interface ResolvConf {
  /** IP literals, zone id (`%eth0`) kept; port 53. */
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  /** Milliseconds per try, when the file says so. */
  readonly timeout: number | undefined;
  /** Rounds over all servers, when the file says so. */
  readonly attempts: number | undefined;
  /** `use-vc`: TCP alone. */
  readonly useTcp: boolean;
  /** The servers take turns as the first. */
  readonly rotate: boolean;
  /** Options that are not used here. */
  readonly ignored: readonly string[];
}

/** glibc's caps: RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY. */
const MAX_NDOTS = 15;
const MAX_TIMEOUT = 30;
const MAX_ATTEMPTS = 5;

/** Options without a value that hold here. EDNS(0) is always sent, and each query always has a socket of its own. */
const HEEDED = new Set(["use-vc", "rotate", "edns0", "single-request-reopen"]);

/** glibc asks this machine when the file is missing or names no server. */
export const DEFAULT_RESOLV_CONF: ResolvConf = {
  nameservers: ["127.0.0.1"],
  search: [],
  ndots: 1,
  timeout: undefined,
  attempts: undefined,
  useTcp: false,
  rotate: false,
  ignored: [],
};

/** Never fails: unknown words are skipped, as in glibc. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  const options = new Map<string, number>();
  const plain = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    const first = words[0];
    if (keyword === "nameserver" && first !== undefined && isNameServer(first)) nameservers.push(first);
    // The last of several search and domain lines counts.
    else if (keyword === "search") search = words.map(canonicalName).filter((domain) => domain !== "");
    else if (keyword === "domain" && first !== undefined) search = [canonicalName(first)];
    else if (keyword === "options") {
      for (const word of words) {
        const match = /^(ndots|timeout|attempts):([0-9]{1,9})$/.exec(word);
        if (match?.[1] !== undefined) options.set(match[1], Number(match[2]));
        else if (word !== "") plain.add(word);
      }
    }
  }
  const timeout = options.get("timeout");
  const attempts = options.get("attempts");
  return {
    nameservers: nameservers.length > 0 ? Array.from(new Set(nameservers)) : DEFAULT_RESOLV_CONF.nameservers,
    search,
    ndots: Math.min(options.get("ndots") ?? DEFAULT_RESOLV_CONF.ndots, MAX_NDOTS),
    timeout: timeout === undefined ? undefined : Math.min(Math.max(timeout, 1), MAX_TIMEOUT) * 1000,
    attempts: attempts === undefined ? undefined : Math.min(Math.max(attempts, 1), MAX_ATTEMPTS),
    useTcp: plain.has("use-vc"),
    rotate: plain.has("rotate"),
    ignored: Array.from(plain).filter((word) => !HEEDED.has(word)),
  };
}

function isNameServer(text: string): boolean {
  // A zone makes sense on a link-local IPv6 address only.
  return (
    parseIp(text) !== undefined || (/^fe[89ab].*%[^%]+$/i.test(text) && parseIp(text.replace(/%.*$/, "")) !== undefined)
  );
}

/**
 * The names to ask for, in order. With fewer dots than `ndots` the search list goes first, as in glibc. With as many
 * or more only the name itself is asked for: an absence from Consul may mean "not yet", and names of nodes must not be
 * sent to name servers of another domain.
 */
export function searchNames(name: string, { search, ndots }: Pick<ResolvConf, "search" | "ndots">): string[] {
  const canonical = canonicalName(name);
  const dots = canonical.split(".").length - 1;
  // A name with a trailing dot is absolute.
  if (name.endsWith(".") || dots >= ndots) return [canonical];
  return [...search.map((domain) => `${canonical}.${domain}`), canonical];
}
