import { portPlease } from "../epmd/client.js";
import { describeError } from "../errors.js";
import type { Domains } from "../names/domains.js";
import type { Endpoint, Family } from "../net/endpoint.js";
import type { Resolution } from "./core/resolution.js";
import { type Source, TRAITS } from "./source.js";

/** An EPMD on this machine answers at once, if at all. Milliseconds. */
const ASK_TIMEOUT = 500;

/** For a command that is not the daemon: the nodes alive here, as the EPMD of this machine knows them, ours or stock. */
export function epmdSource(port: number, domains: Pick<Domains, "isOurs">): Source {
  return {
    name: "registry",
    ...TRAITS.registry,
    lookUp: async ({ node: { aliveName, host }, family }): Promise<Resolution> => {
      if (!domains.isOurs(aliveName, host)) return { outcome: "not-found", reason: `${host} is not this machine` };
      const [address, kind]: [string, Family] = family === 6 ? ["::1", 6] : ["127.0.0.1", 4];
      try {
        const answer = await portPlease({ address, port }, aliveName, { timeout: ASK_TIMEOUT, forwarded: true });
        if (!answer)
          return { outcome: "not-found", reason: `${aliveName} is not registered with the EPMD of this machine` };
        const endpoint: Endpoint = {
          address,
          port: answer.port,
          family: kind,
          priority: 0,
          weight: 0,
          target: "localhost",
        };
        return {
          outcome: "found",
          source: "registry",
          endpoints: [endpoint],
          ttl: 0,
          stale: false,
          description: answer,
        };
      } catch (error) {
        return { outcome: "not-found", reason: describeError(error) };
      }
    },
  };
}
