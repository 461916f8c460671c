import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { readCredential } from "./credential-file.js";

export interface ConsulAddress {
  /** `http://host:port`, `https://host:port` or `unix:///path`. */
  readonly url: string;
  /** Files, PEM. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly sslVerify?: boolean;
  readonly tlsServerName?: string | undefined;
}

/** What the consul package's constructor is given, beyond what its types know. */
export interface ConnectionOptions {
  readonly baseUrl: string;
  readonly agent: HttpAgent;
  readonly socketPath?: string;
}

/**
 * @param maxSockets connections at once
 * @throws ConsulError CONSUL_UNAVAILABLE when a certificate file cannot be read
 */
export async function connectionOptions(address: ConsulAddress, maxSockets: number): Promise<ConnectionOptions> {
  const keep = { keepAlive: true, maxSockets };
  const socketPath = /^unix:\/\/(.*)$/.exec(address.url)?.[1];
  if (socketPath !== undefined) {
    // The package takes unix:// in baseUrl for 127.0.0.1:80.
    return { baseUrl: "http://localhost/v1", socketPath, agent: new HttpAgent(keep) };
  }
  const url = new URL(address.url);
  const baseUrl = `${url.origin}${url.pathname.replace(/\/+$/, "")}/v1`;
  // The package hands the brackets of an IPv6 literal to the resolver; an agent's own options come last.
  const host = /^\[(.*)\]$/.exec(url.hostname)?.[1];
  const where = host === undefined ? keep : { ...keep, host };
  if (url.protocol !== "https:") return { baseUrl, agent: new HttpAgent(where) };
  const [ca, cert, key] = await Promise.all([
    readPem(address.ca, "CA"),
    readPem(address.cert, "client certificate"),
    readPem(address.key, "client key"),
  ]);
  const tls = {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(address.tlsServerName !== undefined && { servername: address.tlsServerName }),
    rejectUnauthorized: address.sslVerify ?? true,
  };
  return { baseUrl, agent: new HttpsAgent({ ...where, ...tls }) };
}

async function readPem(path: string | undefined, what: string): Promise<string | undefined> {
  return path === undefined ? undefined : readCredential(path, what);
}
