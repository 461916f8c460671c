import type { Config } from "../../config/config.js";
import { isLoopback } from "../../net/ip.js";

/** The options that have the URL of an API. */
type UrlKey = "consul" | "nomadAddr";

/** What they are called, and the flag that has their URL. */
export const APIS = {
  consul: { title: "Consul", flag: "--consul" },
  nomadAddr: { title: "Nomad", flag: "--nomad-addr" },
} as const;

/** An API that the srv-epmd here asks at another URL than this command, which does not take that from it. */
export interface OtherUrl {
  readonly evidence: string;
  readonly advice: string;
}

/**
 * Undefined: the srv-epmd here has the same, or does not tell its own.
 * @param own URL that this command asks
 * @param used what the srv-epmd here says that it uses: the command may have been given another one by hand
 */
export function otherUrl(
  key: UrlKey,
  own: string,
  { leftUrls }: Pick<Config, "leftUrls">,
  used?: string,
): OtherUrl | undefined {
  const left = leftUrls.get(key);
  const url = left ?? used;
  if (url === undefined || normal(url) === normal(own)) return undefined;
  // A wrong scheme is explained by what the API answers to it.
  if (left === undefined && placeOf(url) === placeOf(own)) return undefined;
  const { title, flag } = APIS[key];
  return {
    evidence: `the srv-epmd here uses ${title} at ${url}`,
    advice:
      left === undefined
        ? `give ${flag} ${url}, which the srv-epmd here uses, in place of ${own}`
        : `give ${flag} ${url} too, which the srv-epmd here uses: your own credentials are sent to no address that it merely tells`,
  };
}

const placeOf = (url: string): string => normal(url).replace(/^[a-z]+:/, "");

/** All loopback addresses lead to this machine. */
function normal(text: string): string {
  if (!URL.canParse(text)) return text;
  const { protocol, hostname, port } = new URL(text);
  const host = hostname.replace(/^\[|\]$/g, "");
  return `${protocol}//${host === "localhost" || isLoopback(host) ? "localhost" : host}:${port}`;
}
