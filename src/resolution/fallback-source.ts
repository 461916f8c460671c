import { preferAddresses } from "../core/dns/address.js";
import { srvOwner } from "../core/dns/owner.js";
import { nameProblem } from "../core/dns/record.js";
import type { Endpoint, Family } from "../core/endpoint.js";
import { describeError } from "../core/errors.js";
import { familyOf, isLinkLocal } from "../core/ip.js";
import type { NodeDescription, Question, Resolution } from "../core/resolution.js";
import { type Addresses, type AddressLookup, wantedFamilies } from "./addresses.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

/** What another EPMD said of a node. */
export interface EpmdAnswer {
  readonly port: number;
  readonly description: NodeDescription;
}

export interface FallbackOptions {
  /** Shared with the SRV source, which sends the queries in the same moment as its own. */
  readonly addresses: AddressLookup;
  /** `--srv-name`: the name that had no SRV record may have addresses. */
  readonly srvName: string;
  /** `--family`. */
  readonly family: Family | "any";
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** `--fallback-port`. */
  readonly port?: number | undefined;
  /** `--fallback-epmd`: PORT_PLEASE2 to the EPMD at an address. Undefined: it does not know the node. Rejects when it cannot be asked. */
  readonly epmd?:
    | ((address: string, aliveName: string, deadline: number) => Promise<EpmdAnswer | undefined>)
    | undefined;
  /** Whether we listen there ourselves. */
  readonly isOwn: (address: string) => boolean;
}

/** More addresses of a host than this are left out. */
const MAX_ADDRESSES = 64;
/** No more EPMDs than this are asked for one node. */
const MAX_EPMDS = 8;

/** For a name that has addresses and no SRV record: a fixed port, or the port that the EPMD at the address gives. */
export function createFallbackSource(options: FallbackOptions): Source {
  const { srvName, port, epmd, isOwn, localAddresses } = options;

  /** Those of the owner name, which mean this node; else those of its host, as a stock VM on this machine resolves it. */
  async function addressesFor(question: Question, context: LookupContext): Promise<Addresses> {
    const { host } = question.node;
    if (familyOf(host) !== undefined) return literal(host);
    const families = wantedFamilies(question.family, options.family);
    const owner = srvOwner(srvName, question.node);
    const ask = (name: string) => options.addresses.lookUp(name, families, context, question.search);
    const { shortHost } = question;
    const [own, short, hosts] = await Promise.all([
      nameProblem(owner) === undefined ? ask(owner) : undefined,
      shortHost === undefined ? undefined : options.addresses.lookUp(shortHost, families, context, true),
      ask(host),
    ]);
    const found = [own, short].find((addresses) => addresses && addresses.addresses.length > 0);
    return found ?? { ...hosts, unavailable: hosts.unavailable ?? own?.unavailable ?? short?.unavailable };
  }

  async function lookUp(question: Question, context: LookupContext): Promise<Resolution> {
    const { aliveName, host } = question.node;
    const { addresses, ttl, stale, unavailable } = await addressesFor(question, context);
    const families = wantedFamilies(question.family, options.family);
    const preferred = preferAddresses(addresses, { family: "any", sources: localAddresses() })
      .filter((address) => !isLinkLocal(address) && families.some((family) => family === familyOf(address)))
      .slice(0, MAX_ADDRESSES);
    if (preferred.length === 0) {
      if (unavailable !== undefined) return { outcome: "unavailable", cause: unavailable };
      return { outcome: "not-found", reason: `${host} has no address to fall back to` };
    }
    const toEndpoint = (address: string, at: number): Endpoint => {
      return { address, port: at, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: host };
    };
    const asked = epmd ? await askEpmds(preferred, aliveName, context.deadline) : undefined;
    if (asked && asked.known.size > 0) {
      const endpoints = preferred.flatMap((address) => {
        const answer = asked.known.get(address);
        return answer ? [toEndpoint(address, answer.port)] : [];
      });
      // The one that goes with the endpoint to be tried first, whichever EPMD was the quickest.
      const description = asked.known.get(endpoints[0]?.address ?? "")?.description;
      return { outcome: "found", source: "fallback", endpoints, ttl, stale, ...(description ? { description } : {}) };
    }
    if (port !== undefined) {
      const endpoints = preferred.map((address) => toEndpoint(address, port));
      return { outcome: "found", source: "fallback", endpoints, ttl, stale };
    }
    if (asked?.failure !== undefined) return { outcome: "unavailable", cause: asked.failure };
    return { outcome: "not-found", reason: `the EPMD at ${preferred.join(", ")} does not know ${aliveName}` };
  }

  /** All at once; the answer is complete when every EPMD has spoken, and enough shortly after the first that knows the node. */
  async function askEpmds(addresses: readonly string[], aliveName: string, deadline: number) {
    const known = new Map<string, EpmdAnswer>();
    let failure: string | undefined;
    let timer: NodeJS.Timeout | undefined;
    // Our own EPMD would look the name up again, and come here again.
    const others = addresses.filter((address) => !isOwn(address)).slice(0, MAX_EPMDS);
    await new Promise<void>((resolve) => {
      let open = others.length;
      if (open === 0) resolve();
      const spoken = () => {
        open -= 1;
        if (open === 0) resolve();
        else if (known.size > 0) timer ??= setTimeout(resolve, ENOUGH_DELAY);
      };
      for (const address of others) {
        Promise.resolve(epmd?.(address, aliveName, deadline))
          .then(
            (answer) => answer && known.set(address, answer),
            (error: unknown) => {
              failure ??= `EPMD at ${address}: ${describeError(error)}`;
            },
          )
          .then(spoken, spoken);
      }
    });
    clearTimeout(timer);
    return { known, failure };
  }

  return {
    name: "fallback",
    ...TRAITS.fallback,
    lookUp,
  };
}

/** How long the first EPMD that knows the node waits for those at the other addresses, milliseconds. */
const ENOUGH_DELAY = 50;

function literal(host: string): Addresses {
  return { addresses: [host], ttl: 0, stale: false, unavailable: undefined };
}
