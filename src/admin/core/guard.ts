import { canonicalIp } from "../../net/ip.js";

/** What decides whether an HTTP request is answered. */
export interface GuardedRequest {
  readonly method: string;
  /** Header `Host`. */
  readonly host: string | undefined;
  /** Header `Sec-Fetch-Site`: browsers send it, and say where the request comes from. */
  readonly fetchSite: string | undefined;
  /** Header `Origin`: the origin of the page whose script asks, when that is another one. */
  readonly origin: string | undefined;
  /** Header `User-Agent`. */
  readonly userAgent: string | undefined;
}

interface Refusal {
  readonly status: 403 | 405;
  readonly code: "HTTP_METHOD" | "HTTP_HOST" | "HTTP_OTHER_SITE";
  readonly message: string;
}

/**
 * A page of another site in a browser on this machine can send requests to loopback addresses, and with DNS rebinding read
 * the answers under a name of its own. So only GET is answered, only under our own names and addresses, and not for pages
 * of other sites.
 * @param hosts names of --admin-host, lower case
 */
export function refusalOf(request: GuardedRequest, hosts: readonly string[]): Refusal | undefined {
  const { method, host, fetchSite, origin } = request;
  if (method !== "GET") return { status: 405, code: "HTTP_METHOD", message: `${method} is not allowed, only GET` };
  if (!isOwnHost(host ?? "", hosts)) {
    const message = `the Host header says ${JSON.stringify(host ?? "")}: ask by IP address or as localhost, or give the name to srv-epmd with --admin-host`;
    return { status: 403, code: "HTTP_HOST", message };
  }
  // https://www.w3.org/TR/fetch-metadata/: "none" is what a person typed. Another port of this host is "same-site".
  if (fetchSite !== undefined && fetchSite !== "same-origin" && fetchSite !== "none") {
    return elsewhere(`Sec-Fetch-Site: ${JSON.stringify(fetchSite)}`);
  }
  if (origin !== undefined && hostOf(origin) !== host?.toLowerCase())
    return elsewhere(`Origin: ${JSON.stringify(origin)}`);
  return undefined;
}

/**
 * Whether a browser asks without saying for which page. Browsers send Sec-Fetch-Site only to addresses that they trust
 * (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header), and not to http://10.1.2.3 or http://0.0.0.0, which leads to
 * this machine. There an image in a page of another site looks like an address that a person typed. Such a page cannot read
 * the answer, but it can cause work.
 */
export function asksForUnknownPage({ fetchSite, userAgent = "" }: GuardedRequest): boolean {
  return fetchSite === undefined && userAgent.startsWith("Mozilla/");
}

function elsewhere(sign: string): Refusal {
  return {
    status: 403,
    code: "HTTP_OTHER_SITE",
    message: `a page of another site asks (${sign}): type the address into the browser instead`,
  };
}

/** Of an origin such as `http://127.0.0.1:9369`; undefined for `null`, which any page can have. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/(.+)$/.exec(origin)?.[1]?.toLowerCase();
}

/** Nomad's checks send `ip:port`, people `localhost:9369` or `[::1]:9369`. */
function isOwnHost(host: string, hosts: readonly string[]): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(?::[0-9]*)?$/.exec(host)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  if (name.startsWith("[")) return canonicalIp(name.slice(1, -1)) !== undefined;
  return name === "localhost" || canonicalIp(name) !== undefined || hosts.includes(name.replace(/\.$/, ""));
}
