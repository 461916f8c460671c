import { setMaxListeners } from "node:events";
import type { IpPort } from "../config/network-values.js";
import { serverNameOf } from "../connect/core/inbound.js";
import type { ConnectWays } from "../connect/credentials.js";
import { hostPartOf } from "../names/node-name.js";
import { isLoopback } from "../net/ip.js";
import { thisMachine } from "../os/machine.js";
import type { CookieSettings } from "./cookie.js";
import type { Probe } from "./core/words.js";
import type { Again } from "./different-vms.js";

/** @param node full name @param again of a place that was probed before: no node is joined. Never rejects */
export type ProbeEndpoint = (
  endpoint: IpPort,
  isAsked: (name: string) => boolean,
  node: string,
  again?: Again,
) => Promise<Probe>;

/**
 * Probes endpoints, with the cookie where one is given. One that spoke TLS the last time is asked in TLS at once, because it
 * logs a plain try.
 * @param signal ends the probes that go on
 * @throws ConfigError for a cookie that cannot be used
 */
export async function createProbe(
  { timeout, ...settings }: CookieSettings & { readonly timeout: number },
  {
    env,
    connect,
  }: {
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Where nodes are behind mutual TLS of Consul Connect. */
    readonly connect?: Pick<ConnectWays, "to"> | undefined;
  },
  signal?: AbortSignal,
): Promise<ProbeEndpoint> {
  const { namesInTurn, probeNode } = await import("./probe.js");
  const { readCookie } = await import("./cookie.js");
  const cookie = await readCookie(settings, env);
  // Each connection listens to it: Node warns of more than ten.
  if (signal) setMaxListeners(0, signal);
  const secured = new Set<string>();
  const nextName = namesInTurn(Math.random);
  return async (endpoint, isAsked, node, again) => {
    const host = hostPartOf(node);
    const place = `${endpoint.address} ${endpoint.port}`;
    const way = connect && !isLoopback(endpoint.address) ? await connect.to(host) : undefined;
    if (typeof way === "string") return { result: "connect", reason: way, elapsedMs: 0 };
    const probe = await probeNode(endpoint, {
      ...{ isAsked, timeout, cookie, signal, connect: way },
      from: thisMachine().hostName,
      serverName: way ? serverNameOf(node) : host,
      tlsFirst: secured.has(place),
      random: Math.random,
      nextName,
      ...(again && { ...again, cookie: undefined }),
    });
    if ("tls" in probe && probe.tls) secured.add(place);
    else secured.delete(place);
    return probe;
  };
}
