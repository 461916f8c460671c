import { type NomadEnvironment, nomadUpstreamsTo } from "../config/nomad.js";
import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { lazily } from "../lazily.js";
import {
  consulErrorCode,
  type NodeQuestion,
  notFound,
  type Resolution,
  unavailable,
} from "../resolve/core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "../resolve/source.js";
import {
  asksAgent,
  destinationOf,
  listDestinations,
  type MeshSettings,
  ownSidecars,
  resolveUpstream,
  type Sidecar,
  type SidecarSettings,
  sidecarsOfNodes,
  type Upstream,
  upstreamsTo,
} from "./core/upstreams.js";
import type { Sidecars } from "./sidecars.js";

/** The settings of a look-up through upstreams. */
export interface UpstreamSettings extends Omit<MeshSettings, "nomad">, Omit<SidecarSettings, "nomad"> {
  readonly nomad: Pick<NomadEnvironment, "upstreams" | "allocId">;
}

export interface UpstreamSourceDeps {
  readonly settings: UpstreamSettings;
  readonly connect: () => Promise<ConsulClient>;
  /** Alive names of the nodes here that are known. Never rejects. */
  readonly aliveNames: () => readonly string[] | Promise<readonly string[]>;
  /** True: follow the proxies' registrations. False: read them with each look-up. */
  readonly follow: boolean;
  readonly log: Logger;
}

interface UpstreamSource extends Source {
  readonly close: () => Promise<void>;
}

/** Upstreams of Connect proxies: those in Nomad's variables, else those of the proxies that are registered with the agent. */
export function createUpstreamSource(deps: UpstreamSourceDeps): UpstreamSource {
  return asksAgent(deps.settings) ? agentSource(deps) : nomadSource(deps.settings);
}

function nomadSource(settings: Pick<MeshSettings, "upstreamService" | "nomad">): UpstreamSource {
  const { upstreams } = settings.nomad;
  return {
    name: "upstream",
    ...TRAITS.upstream,
    lookUp: (question, { sameHost }) => {
      const destination = destinationOf(settings, question.node);
      const found = nomadUpstreamsTo(destination, upstreams);
      if (found.length > 0) return resolveUpstream(question, sameHost, found);
      const others = listDestinations(upstreams);
      return notFound("UPSTREAM_NONE", `no upstream ${destination} in NOMAD_UPSTREAM_*: ${others}`);
    },
    close: async () => {},
  };
}

function agentSource({ settings, connect, aliveNames, follow, log }: UpstreamSourceDeps): UpstreamSource {
  let loaded: Sidecars | undefined;
  // Loaded here: without a mesh the daemon does not need it.
  const load = lazily(async () => {
    const { followSidecars, readSidecars } = await import("./sidecars.js");
    loaded = (follow ? followSidecars : readSidecars)({ connect, isOurs: ownSidecars(settings), log });
    return loaded;
  });
  // The proxies that are registered now are known when the first VM asks.
  load().catch(() => {});

  function find(destination: string, sidecars: readonly Sidecar[]): Upstream[] {
    return upstreamsTo(
      destination,
      sidecars.flatMap(({ upstreams }) => upstreams),
    );
  }

  async function ask(question: NodeQuestion, { sameHost }: LookupContext): Promise<Resolution> {
    const destination = destinationOf(settings, question.node);
    let sidecars: readonly Sidecar[];
    const alive = await aliveNames();
    try {
      sidecars = await (await load()).refresh();
    } catch (error) {
      return unavailable(consulErrorCode(error), `the upstream ${destination}: ${describeError(error)}`);
    }
    const looked = sidecarsOfNodes(sidecars, alive, settings);
    const found = find(destination, looked);
    if (found.length > 0) return resolveUpstream(question, sameHost, found);
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
      const found = find(destinationOf(settings, question.node), sidecarsOfNodes(known, alive, settings));
      // A missing upstream may have been registered just now.
      return found.length > 0 ? resolveUpstream(question, context.sameHost, found) : ask(question, context);
    },
    close: async () => {
      await (await load().catch(() => undefined))?.close();
    },
  };
}

/** The proxies that were looked at, with their destinations. */
function describeSidecars(sidecars: readonly Sidecar[]): string {
  if (sidecars.length === 0)
    return ": the Consul agent shows no sidecar proxy of the nodes here (with ACLs only to a token with service:read)";
  const upstreams = sidecars.flatMap((sidecar) => sidecar.upstreams);
  return ` at ${sidecars.map(({ id }) => id).join(", ")}: ${listDestinations(upstreams)}`;
}
