import { canonicalIp } from "./ip.js";

/** Addresses of a name in the text of a hosts(5) file, canonical, in its order; names know no case. */
export function addressesInHosts(text: string, name: string): string[] {
  const wanted = name.toLowerCase();
  const found = text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    return names.some((candidate) => candidate.toLowerCase() === wanted) ? [canonicalIp(address)] : [];
  });
  return Array.from(new Set(found)).filter((address) => address !== undefined);
}
