import type { Config } from "../config/config.js";
import { nomadSpellings, withoutCleaned } from "../config/nomad.js";
import type { ConsulClient } from "../consul/client.js";
import { lazily } from "../daemon/lazily.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { consulErrorCode, notFound, type Question, type Resolution, unavailable } from "../resolve/core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "../resolve/source.js";
import { asksAgent, destinationOf, ownSidecars, type Sidecar, sidecarsOfNodes } from "./core/sidecar.js";
import { listDestinations, resolveUpstream, type Upstream, upstreamsTo } from "./core/upstream.js";
import type { Sidecars } from "./sidecars.js";

export interface UpstreamSourceDeps {
  readonly config: Config;
  readonly connect: () => Promise<ConsulClient>;
  /** Alive names of the nodes here, as far as they are known. Never rejects. */
  readonly aliveNames: () => readonly string[] | Promise<readonly string[]>;
  /** Follow the proxies' registrations; else they are read with each look-up. */
  readonly follow: boolean;
  readonly log: Logger;
}

export interface UpstreamSource extends Source {
  readonly close: () => Promise<void>;
}

/** Listeners of Connect proxies: those that Nomad's variables name, else those of the agent's proxy registrations. */
export function createUpstreamSource(deps: UpstreamSourceDeps): UpstreamSource {
  return asksAgent(deps.config) ? agentSource(deps) : nomadSource(deps.config);
}

function nomadSource(config: Config): UpstreamSource {
  const { upstreams } = config.nomad;
  return {
    name: "upstream",
    ...TRAITS.upstream,
    lookUp: (question, { sameHost }) => {
      const destination = destinationOf(config, question.node);
      const found = upstreamsTo(nomadSpellings(destination), upstreams);
      if (found.length > 0) return resolveUpstream(question, sameHost, found);
      const others = listDestinations(withoutCleaned(upstreams));
      return notFound("UPSTREAM_NONE", `no upstream ${destination} in NOMAD_UPSTREAM_*: ${others}`);
    },
    close: async () => {},
  };
}

function agentSource({ config, connect, aliveNames, follow, log }: UpstreamSourceDeps): UpstreamSource {
  let loaded: Sidecars | undefined;
  // Without a mesh the daemon does not pay for it.
  const load = lazily(async () => {
    const { followSidecars, readSidecars } = await import("./sidecars.js");
    loaded = (follow ? followSidecars : readSidecars)({ connect, isOurs: ownSidecars(config), log });
    return loaded;
  });
  // What is registered by now is known when the first VM asks.
  load().catch(() => {});

  function find(destination: string, sidecars: readonly Sidecar[], alive: readonly string[]): Upstream[] {
    const chosen = sidecarsOfNodes(sidecars, alive, config);
    return upstreamsTo(
      [destination],
      chosen.flatMap(({ upstreams }) => upstreams),
    );
  }

  async function ask(question: Question, { sameHost }: LookupContext): Promise<Resolution> {
    const destination = destinationOf(config, question.node);
    let sidecars: readonly Sidecar[];
    const alive = await aliveNames();
    try {
      sidecars = await (await load()).refresh();
    } catch (error) {
      return unavailable(consulErrorCode(error), `the upstream ${destination}: ${describeError(error)}`);
    }
    const found = find(destination, sidecars, alive);
    if (found.length > 0) return resolveUpstream(question, sameHost, found);
    const looked = sidecarsOfNodes(sidecars, alive, config);
    const code = looked.length === 0 ? "UPSTREAM_NO_SIDECAR" : "UPSTREAM_NONE";
    return notFound(code, `no upstream ${destination}${describeSidecars(looked)}`);
  }

  return {
    name: "upstream",
    ...TRAITS.upstream,
    lookUp: (question, context) => {
      const known = loaded?.known;
      const alive = aliveNames();
      if (!known || alive instanceof Promise) return ask(question, context);
      const found = find(destinationOf(config, question.node), known, alive);
      // What is not known may have been registered this moment.
      return found.length > 0 ? resolveUpstream(question, context.sameHost, found) : ask(question, context);
    },
    close: async () => {
      await (await load().catch(() => undefined))?.close();
    },
  };
}

/** Which proxies were looked at, and what they have. */
function describeSidecars(sidecars: readonly Sidecar[]): string {
  if (sidecars.length === 0) return ": the Consul agent has no sidecar proxy of the nodes here that the token may read";
  const upstreams = sidecars.flatMap((sidecar) => sidecar.upstreams);
  return ` at ${sidecars.map(({ id }) => id).join(", ")}: ${listDestinations(upstreams)}`;
}
