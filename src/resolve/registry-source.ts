import { portPlease } from "../epmd/client.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { describeError } from "../errors.js";
import type { Domains } from "../names/domains.js";
import type { Endpoint, Family } from "../net/endpoint.js";
import { familyOf, isLoopback } from "../net/ip.js";
import type { Advertised } from "../publish/core/advertised.js";
import { epmdErrorCode, type NodeQuestion, notFound, type Resolution } from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

export interface RegistrySourceDeps {
  readonly registry: Registry;
  readonly domains: Pick<Domains, "isOurs">;
  /** Where others reach a node that lives here; no addresses: at the address at which they asked; undefined: nowhere. */
  readonly advertised: (node: RegisteredNode) => Advertised | undefined;
}

/** The nodes alive here. `web@other.service.consul` is never answered by a local `web`. */
export function registrySource({ registry, domains, advertised }: RegistrySourceDeps): Source {
  return {
    name: "registry",
    ...TRAITS.registry,
    lookUp: ({ node: { aliveName, host }, family }: NodeQuestion, context: LookupContext): Resolution => {
      const node = registry.get(aliveName);
      if (!node) return notFound("NODE_NOT_REGISTERED", `${aliveName} is not registered here`);
      if (host !== undefined && !domains.isOurs(aliveName, host)) {
        return notFound("NODE_OTHER_HOST", `${aliveName} is registered here, but ${host} is not served here`);
      }
      const endpoints = (context.sameHost ? loopbackEndpoints(node) : advertisedEndpoints(node, context)).filter(
        (endpoint) => family === "any" || endpoint.family === family,
      );
      if (endpoints.length === 0) {
        const address = family === "any" ? "an address" : `an IPv${family} address`;
        return notFound("NODE_NO_ADDRESS", `${aliveName} is registered here, without ${address} for others`);
      }
      return { outcome: "found", source: "registry", endpoints, ttl: 0, stale: false, description: node };
    },
  };

  function loopbackEndpoints(node: RegisteredNode): Endpoint[] {
    if (node.address !== undefined) return [endpointAt(node.address, node.family, node.port, node.address)];
    // A VM that registered over IPv6 (inet6_tcp) listens on `::`, which on most systems accepts IPv4 too.
    const families: Family[] = node.family === 6 ? [6, 4] : [4];
    return families.map((family) => endpointAt(family === 4 ? "127.0.0.1" : "::1", family, node.port, "localhost"));
  }

  function advertisedEndpoints(node: RegisteredNode, { dialled }: LookupContext): Endpoint[] {
    const reached = advertised(node);
    if (!reached) return [];
    const { port, addresses } = reached;
    const known = addresses.filter((address) => familyOf(address) !== undefined);
    if (known.length === 0 && dialled !== undefined && !isLoopback(dialled)) known.push(dialled);
    return known.map((address) => endpointAt(address, familyOf(address) ?? 4, port, address));
  }
}

function endpointAt(address: string, family: Family, port: number, target: string): Endpoint {
  return { address, port, family, priority: 0, weight: 0, target };
}

/** An EPMD on this machine answers at once. Milliseconds. */
const ASK_TIMEOUT = 500;

/** The nodes alive here, for commands: they ask the EPMD of this machine, a srv-epmd or a stock one. */
export function epmdSource(port: number, domains: Pick<Domains, "isOurs">): Source {
  return {
    name: "registry",
    ...TRAITS.registry,
    lookUp: async ({ node: { aliveName, host }, family }): Promise<Resolution> => {
      if (!domains.isOurs(aliveName, host)) return notFound("NODE_OTHER_HOST", `${host} is not this machine`);
      const [address, kind]: [string, Family] = family === 6 ? ["::1", 6] : ["127.0.0.1", 4];
      try {
        const answer = await portPlease({ address, port }, aliveName, { timeout: ASK_TIMEOUT, forwarded: true });
        if (!answer) {
          return notFound("NODE_NOT_REGISTERED", `${aliveName} is not registered with the EPMD of this machine`);
        }
        const endpoints = [endpointAt(address, kind, answer.port, "localhost")];
        return { outcome: "found", source: "registry", endpoints, ttl: 0, stale: false, description: answer };
      } catch (error) {
        return notFound(epmdErrorCode(error), describeError(error));
      }
    },
  };
}
