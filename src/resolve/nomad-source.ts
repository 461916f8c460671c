import type { Catalogue } from "../catalogue/catalogue.js";
import type { CatalogueQuery } from "../catalogue/core/backend.js";
import type { ServiceInstance } from "../catalogue/core/instances.js";
import { instancesInDns } from "../catalogue/core/question.js";
import type { ServiceView } from "../catalogue/followed.js";
import { orderSrv } from "../dns/core/order.js";
import { describeError, NomadError } from "../errors.js";
import { isNomadHost, type NomadService, parseNomadService, readNomadName } from "../names/nomad-domain.js";
import type { Family } from "../net/endpoint.js";
import { canonicalIp, familyOf } from "../net/ip.js";
import {
  type Addresses,
  type AddressLookup,
  dialledAddress,
  enough,
  neededFamilies,
  wantedFamilies,
} from "./addresses.js";
import { CATALOGUE_PRIORITY, endpointsOf, firstOffers, MAX_ENDPOINTS } from "./core/endpoints.js";
import { Bounds, type NodeQuestion, notFound, type Resolution, unavailable } from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

/** Nomad's catalogue, which is loaded when it is used first. */
export interface NomadCatalogue {
  /** Undefined before its first use. */
  readonly catalogue: Catalogue | undefined;
  /** As Catalogue.instances. Never rejects. */
  readonly instances: (query: CatalogueQuery, limit: number) => Promise<readonly ServiceInstance[] | undefined>;
}

export interface NomadSourceOptions {
  readonly nomad: NomadCatalogue;
  readonly consulDomain: string;
  /** Of a service whose host names none. */
  readonly namespace: string;
  /** For an instance whose address is a host name. */
  readonly addresses: AddressLookup;
  /** `--family`. */
  readonly family: Family | "any";
  /** Milliseconds for which what Nomad told last serves while it does not answer. */
  readonly staleTtl: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** Milliseconds on the clock of the look-ups' deadlines. */
  readonly now: () => number;
}

/** A wait for Nomad's first answer ends this much before the deadline of the look-up, milliseconds. */
const MARGIN = 100;

/**
 * The nodes under `service.nomad`, of which Nomad's catalogue is the whole truth: a node's alive name is a tag of its
 * instance. No other source is asked for them.
 */
export function createNomadSource(options: NomadSourceOptions): Source {
  const { nomad, consulDomain, addresses, staleTtl, random, localAddresses, now } = options;

  const queryOf = ({ service, namespace = options.namespace }: NomadService) => ({ service, namespace });

  function lookUp(question: NodeQuestion, context: LookupContext): Resolution | Promise<Resolution> {
    const { host } = question.node;
    const name = readNomadName(host, consulDomain);
    if (name?.kind !== "service") {
      return notFound(
        "NAME_NOT_NOMAD",
        `${host} cannot be asked for in Nomad: ${name?.reason ?? "it is another domain's"}`,
      );
    }
    const query = queryOf(name);
    const known = nomad.catalogue?.look(query, 0);
    // With no time to wait it answers at once.
    if (known && !(known instanceof Promise)) return conclude(query, known, question, context);
    return nomad
      .instances(query, Math.max(0, context.deadline - now() - MARGIN))
      .then(() => conclude(query, nomad.catalogue?.known(query), question, context));
  }

  function conclude(
    query: Required<Pick<CatalogueQuery, "service">> & { readonly namespace: string },
    view: ServiceView | undefined,
    question: NodeQuestion,
    context: LookupContext,
  ): Resolution | Promise<Resolution> {
    const tag = question.node.aliveName;
    const held = instancesInDns(view?.instances ?? [], tag);
    context.trace?.({
      step: "catalogue",
      ...{ title: "Nomad", ...query, tag, state: view?.state ?? "unknown", ageMs: view?.age },
      instances: view?.instances.length,
      held: held.map(({ address, port, weight }) => ({ address, port, weight })),
    });
    const where = `the service ${query.service} in the namespace ${query.namespace}`;
    if (!view || view.broken > staleTtl) return silent(query, `Nomad does not tell which instances ${where} has`);
    if (held.length > 0) return endpoints(held, view, question, context);
    if (view.state !== "current") {
      return silent(query, `Nomad's catalogue had no ${tag} in ${where} when it answered last`);
    }
    return view.instances.length === 0
      ? notFound("CATALOGUE_NO_SERVICE", `Nomad's catalogue has no instance of ${where}`)
      : notFound("CATALOGUE_NO_NODE", `no instance of ${where} has the tag ${tag} in Nomad's catalogue`);
  }

  function silent(query: CatalogueQuery, what: string): Resolution {
    const failure = nomad.catalogue?.failure(query);
    const code = failure instanceof NomadError ? failure.code : "NOMAD_UNAVAILABLE";
    return unavailable(code, failure === undefined ? what : `${what}: ${describeError(failure)}`);
  }

  function endpoints(
    held: readonly ServiceInstance[],
    view: ServiceView,
    question: NodeQuestion,
    context: LookupContext,
  ): Resolution | Promise<Resolution> {
    const bounds = new Bounds(context.trace);
    const wanted = dialledAddress(question, context);
    const isDialled = ({ address }: ServiceInstance) => canonicalIp(address) === wanted;
    // Nomad knows no health: what refused a connection comes last, until its entry changes. No other source is asked.
    const ordered = [false, true].flatMap((refused) =>
      orderSrv(
        held
          .filter((instance) => view.refused.has(instance) === refused)
          .map((instance) => ({ ...instance, priority: CATALOGUE_PRIORITY })),
        random,
      ),
    );
    const chosen = firstOffers("instances", ordered, isDialled, bounds);
    const named = new Set(chosen.map(({ address }) => address).filter((address) => familyOf(address) === undefined));
    const families = wantedFamilies(question.family, options.family);

    const answer = (resolved: ReadonlyMap<string, Addresses>): Resolution => {
      const offers = chosen.map(({ address, port, weight, priority }) => {
        const own = named.has(address) ? [] : [address];
        return { port, weight, priority, target: address, addresses: resolved.get(address)?.addresses ?? own };
      });
      const { onlyAddress } = question;
      const { all, usable } = endpointsOf(offers, { families, onlyAddress, sources: localAddresses() });
      if (usable.length === 0) {
        const silent = Array.from(resolved.values()).find(({ unavailable }) => unavailable !== undefined);
        if (silent?.unavailable) return silent.unavailable;
        const places = all.length > 0 ? all : chosen;
        const listed = Array.from(new Set(places.map(({ address }) => address))).join(", ");
        const reason = `Nomad has ${question.node.aliveName} at ${listed}, which this client cannot dial`;
        return notFound("CATALOGUE_NO_ADDRESS", reason);
      }
      const stale = view.state !== "current";
      const some = bounds.take("endpoints", usable, MAX_ENDPOINTS);
      return { outcome: "found", source: "catalogue", endpoints: some, ttl: 0, stale, ...bounds.told };
    };
    if (named.size === 0) return answer(new Map());
    // `address` of a service block may be a host name.
    const needed = neededFamilies(families, wanted);
    const found = new Map<string, Addresses>();
    const lookUps = Array.from(named, async (name) => {
      const resolved = await addresses.lookUp(name, needed, context);
      found.set(name, resolved);
      return resolved.addresses.length > 0;
    });
    // A copy: late answers must not change it.
    return enough(lookUps, named.size < chosen.length).then(() => answer(new Map(found)));
  }

  return {
    name: "catalogue",
    ...TRAITS.catalogue,
    explainsAbsence: true,
    serves: ({ node }) => isNomadHost(node.host, consulDomain),
    lookUp,
    onRefused: ({ node }, endpoint) => {
      const service = parseNomadService(node.host, consulDomain);
      if (service) nomad.catalogue?.refused(queryOf(service), endpoint);
    },
  };
}
