import { setMaxListeners } from "node:events";
import type { IpPort } from "../config/network-values.js";
import { thisMachine } from "../os/machine.js";
import type { CookieSettings } from "./cookie.js";
import type { Probe } from "./core/words.js";

/** @param host as it was asked for; undefined: not known. Never rejects */
export type ProbeEndpoint = (
  endpoint: IpPort,
  isAsked: (name: string) => boolean,
  host: string | undefined,
) => Promise<Probe>;

/**
 * Probes endpoints, with the cookie where one is given. One that spoke TLS the last time is asked in TLS at once, because it
 * logs a plain try.
 * @param signal ends the probes that go on
 * @throws ConfigError for a cookie that cannot be used
 */
export async function createProbe(
  { timeout, ...settings }: CookieSettings & { readonly timeout: number },
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
  signal?: AbortSignal,
): Promise<ProbeEndpoint> {
  const { namesInTurn, probeNode } = await import("./probe.js");
  const { readCookie } = await import("./cookie.js");
  const cookie = await readCookie(settings, env);
  // Each connection listens to it: Node warns of more than ten.
  if (signal) setMaxListeners(0, signal);
  const secured = new Set<string>();
  const nextName = namesInTurn(Math.random);
  return async (endpoint, isAsked, host) => {
    const place = `${endpoint.address} ${endpoint.port}`;
    const probe = await probeNode(endpoint, {
      ...{ isAsked, timeout, cookie, signal },
      from: thisMachine().hostName,
      serverName: host,
      tlsFirst: secured.has(place),
      random: Math.random,
      nextName,
    });
    if ("tls" in probe && probe.tls) secured.add(place);
    else secured.delete(place);
    return probe;
  };
}
