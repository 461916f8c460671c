import type { Catalogue } from "../catalogue/catalogue.js";
import type { ServiceInstance } from "../catalogue/core/instances.js";
import { type CatalogueQuestion, instancesInDns } from "../catalogue/core/question.js";
import type { ServiceView } from "../catalogue/followed.js";
import { orderSrv } from "../dns/core/order.js";
import { atMost } from "../each-of.js";
import { describeError } from "../errors.js";
import type { Endpoint, Family } from "../net/endpoint.js";
import { canonicalIp, familyOf } from "../net/ip.js";
import { dialledAddress, wantedFamilies } from "./addresses.js";
import { CATALOGUE_PRIORITY, endpointsOf, firstOffers, MAX_ENDPOINTS } from "./core/endpoints.js";
import {
  Bounds,
  type Found,
  type NodeQuestion,
  type NotFound,
  notFound,
  type Resolution,
  unavailable,
} from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS, type Unfound } from "./source.js";

/** A catalogue that is loaded when it is used first. */
export interface CatalogueAccess {
  /** Undefined before its first use. */
  readonly catalogue: Catalogue | undefined;
  /** Rejects when it cannot be loaded. */
  readonly openCatalogue: () => Promise<Catalogue>;
}

export interface CatalogueSourceOptions {
  /** The catalogue in sentences: `Consul`. */
  readonly title: string;
  readonly access: CatalogueAccess;
  /** What to ask for a node; undefined: the catalogue has no such names. */
  readonly read: (node: NodeQuestion["node"]) => CatalogueQuestion | undefined;
  /** Only native ends of Consul Connect are dialled; no source is asked behind it. */
  readonly onlyNative?: boolean;
  /** Whether a node that is not listed may be behind any instance of its service; absent: none is. */
  readonly mayBeAnywhere?: (aliveName: string) => boolean;
  /** `--family`. */
  readonly family: Family | "any";
  /** Milliseconds for which the last answer serves when neither the catalogue nor a later source answers. */
  readonly staleTtl: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** Milliseconds on the clock of the look-ups' deadlines. */
  readonly now: () => number;
}

/**
 * The share of a look-up's time that it may wait for a catalogue: for its first answer, or for the one after a pause. Later
 * sources need the rest.
 */
const WAIT_SHARE = 0.6;
/** A late answer comes this much before the deadline of the look-up, milliseconds. */
const LATE_MARGIN = 50;

/** The nodes that a followed catalogue holds, from memory. */
export function createCatalogueSource(options: CatalogueSourceOptions): Source {
  const {
    title,
    access,
    onlyNative = false,
    mayBeAnywhere = () => false,
    staleTtl,
    random,
    localAddresses,
    now,
  } = options;
  const read = rememberingNames(options.read);

  /** The endpoints of a node in what the catalogue told, whatever its age. */
  function find(
    { query, tag }: CatalogueQuestion,
    { instances, refused }: ServiceView,
    question: NodeQuestion,
    context: LookupContext,
  ): Found | NotFound {
    const listed = instancesInDns(instances, tag);
    const isElsewhere = listed.length === 0 && mayBeAnywhere(question.node.aliveName);
    const all = isElsewhere ? distinctPlaces(instancesInDns(instances, undefined)) : listed;
    const held = onlyNative ? all.filter(({ isNative }) => isNative) : all;
    const what = tag === undefined ? `an instance of ${query.service}` : `${tag} in ${query.service}`;
    if (held.length === 0 && all.length > 0) {
      const reason = `${title} lists ${what} without Connect: it would be dialled without TLS, which --connect-native does not do`;
      return notFound("CATALOGUE_NOT_NATIVE", reason);
    }
    if (held.length === 0) return notFound("CATALOGUE_NO_NODE", `${title} does not list ${what}`);
    // What a host name stands for only DNS knows, and all instances of a node belong into one answer.
    const named = held.find(({ address }) => familyOf(address) === undefined);
    if (named)
      return notFound("CATALOGUE_NO_ADDRESS", `${title} lists ${what} at ${named.address}, which is no address`);
    const bounds = new Bounds(context.trace);
    const open = held.filter((instance) => !refused.has(instance));
    const usable = endpointsIn(
      // All nodes of a machine have one native end, which may be back by now, and no other source knows better.
      onlyNative && open.length === 0 ? held : open,
      question,
      context,
      bounds,
    );
    if (usable.length === 0) {
      return notFound("CATALOGUE_NO_ADDRESS", `${title} lists ${what}, at no endpoint that can be dialled`);
    }
    const endpoints = bounds.take("endpoints", usable, MAX_ENDPOINTS);
    return { outcome: "found", source: "catalogue", endpoints, ttl: 0, stale: false, ...bounds.told };
  }

  function endpointsIn(
    instances: readonly ServiceInstance[],
    question: NodeQuestion,
    context: LookupContext,
    bounds: Bounds,
  ): readonly Endpoint[] {
    const wanted = dialledAddress(question, context);
    const offers = instances
      .filter(({ port }) => Number.isInteger(port) && port >= 1 && port <= 65535)
      .map(({ address, port, weight }) => {
        return { ...{ address, port, weight, priority: CATALOGUE_PRIORITY }, target: address, addresses: [address] };
      });
    const isDialled = ({ address }: { readonly address: string }) => canonicalIp(address) === wanted;
    const chosen = firstOffers("instances", orderSrv(offers, random), isDialled, bounds);
    const families = wantedFamilies(question.family, options.family);
    return endpointsOf(chosen, { families, onlyAddress: question.onlyAddress, sources: localAddresses() }).usable;
  }

  function trace({ query, tag }: CatalogueQuestion, view: ServiceView | undefined, context: LookupContext): void {
    if (!context.trace) return;
    context.trace({
      step: "catalogue",
      ...{ title, ...query, tag, state: view?.state ?? "unknown", ageMs: view?.age },
      instances: view?.instances.length,
      held: instancesInDns(view?.instances ?? [], tag).map(({ address, port, weight }) => ({ address, port, weight })),
    });
  }

  /** A catalogue that might have missed a change answers nothing, so that the sources behind it are asked. */
  function conclude(
    asked: CatalogueQuestion,
    view: ServiceView | undefined,
    question: NodeQuestion,
    context: LookupContext,
  ): Resolution {
    trace(asked, view, context);
    if (view && isCurrent(view)) return find(asked, view, question, context);
    const since = view ? `for ${((view.isPaused ? view.age : view.broken) / 1000).toFixed(1)} s` : "yet";
    const failure = access.catalogue?.failure(asked.query);
    const why = failure === undefined ? "" : `: ${describeError(failure)}`;
    const told = `${title} has not told ${since} which nodes ${asked.query.service} has${why}`;
    return onlyNative ? unavailable("CONSUL_UNAVAILABLE", told) : notFound("CATALOGUE_UNKNOWN", told);
  }

  /** The first look-up loads the catalogue. @param limit milliseconds for all of it */
  async function openAndLook({ query }: CatalogueQuestion, limit: number): Promise<ServiceView | undefined> {
    try {
      return await atMost(
        limit,
        access.openCatalogue().then((catalogue) => catalogue.look(query, limit)),
      );
    } catch {
      // The daemon logs at its start what it cannot load.
      return undefined;
    }
  }

  function lookUp(question: NodeQuestion, context: LookupContext): Resolution | Promise<Resolution> {
    const asked = read(question);
    if (!asked) return notFound("CATALOGUE_NO_NODE", `${title} has no names like ${question.node.host}`);
    const limit = (context.deadline - now()) * WAIT_SHARE;
    const view = access.catalogue ? access.catalogue.look(asked.query, limit) : openAndLook(asked, limit);
    return view instanceof Promise
      ? view.then((known) => conclude(asked, known, question, context))
      : conclude(asked, view, question, context);
  }

  /**
   * While the catalogue has not answered for a short time, it may know a node that no later source does: where DNS cannot
   * be reached, or does not have Consul's domain. Later it only helps when nobody answers, as stale records do (RFC 8767).
   */
  function lastGood(question: NodeQuestion, context: LookupContext, instead: Unfound): Found | undefined {
    const asked = read(question);
    const view = asked && access.catalogue?.known(asked.query);
    if (!asked || !view || isCurrent(view)) return undefined;
    const serves = view.state !== "behind" || (instead.outcome === "unavailable" && view.broken <= staleTtl);
    const found = serves ? find(asked, view, question, context) : undefined;
    return found?.outcome === "found" ? { ...found, stale: true } : undefined;
  }

  /**
   * An answer may have come while later sources were asked. It is waited for where these do not answer either: a catalogue
   * that is slow once is better than none. What changed since is waited for as in any look-up.
   */
  async function lateAnswer(
    question: NodeQuestion,
    context: LookupContext,
    instead: Unfound,
  ): Promise<Found | undefined> {
    const asked = read(question);
    if (!asked) return undefined;
    const catalogue = access.catalogue ?? (await access.openCatalogue().catch(() => undefined));
    const remaining = () => context.deadline - now() - LATE_MARGIN;
    if (instead.outcome === "unavailable") await catalogue?.lateAnswer(asked.query, remaining());
    const known = catalogue?.known(asked.query);
    if (!catalogue || !known) return undefined;
    const view = isCurrent(known) ? known : await catalogue.look(asked.query, remaining());
    if (!view || !isCurrent(view)) return undefined;
    const found = find(asked, view, question, context);
    if (found.outcome !== "found") return undefined;
    trace(asked, view, context);
    return found;
  }

  return {
    name: "catalogue",
    ...TRAITS.catalogue,
    ...(onlyNative && { explainsAbsence: true, mayProbe: false }),
    lateAnswer,
    serves: (question) => read(question) !== undefined,
    lookUp,
    lastGood,
    onRefused: (question, endpoint) => {
      const asked = read(question);
      if (asked) access.catalogue?.refused(asked.query, endpoint);
    },
    foundLater: (question, { source, stale }) => {
      const asked = source === "srv" && !stale ? read(question) : undefined;
      if (asked) access.catalogue?.isInDns(asked.query);
    },
  };
}

/** Names that are remembered with their question at most. */
const MAX_READ = 4096;

/** The question for a node depends on its name alone, and each look-up reads it several times. */
function rememberingNames(read: CatalogueSourceOptions["read"]): (question: NodeQuestion) => ReturnType<typeof read> {
  const known = new Map<string, CatalogueQuestion | undefined>();
  return ({ node }) => {
    const name = `${node.aliveName}@${node.host}`;
    const before = known.get(name);
    if (before || known.has(name)) return before;
    const asked = read(node);
    if (known.size >= MAX_READ) known.clear();
    known.set(name, asked);
    return asked;
  };
}

/** One instance of each place: the ends of Consul Connect of a machine have one port. */
function distinctPlaces(instances: readonly ServiceInstance[]): readonly ServiceInstance[] {
  return Array.from(new Map(instances.map((instance) => [`${instance.address} ${instance.port}`, instance])).values());
}

/** Whether Consul's DNS would say the same: any change would have ended the query that is under way. */
function isCurrent({ state, isPaused }: ServiceView): boolean {
  return state === "current" && !isPaused;
}
