import { CLIENT_RESPONSE_TIMER } from "../dns/resolver.js";
import type { Domains } from "../names/domains.js";
import { formatNodeName, type NodeName } from "../names/node-name.js";
import { type Endpoint, type Family, SilentAddresses } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import {
  Bounds,
  type Found,
  type NodeQuestion,
  notFound,
  type Resolution,
  resolutionWords,
  type SourceName,
  type Trace,
  unavailable,
} from "./core/resolution.js";
import { probe } from "./probe.js";
import type { LookupContext, Source } from "./source.js";

/** Milliseconds: silent endpoints must leave time for the answer. */
const PROBE_LIMIT = 1500;
/** Endpoints that are probed at most. */
const MAX_PROBES = 8;
/** A probe ends this much before the deadline of the look-up, milliseconds. */
const PROBE_MARGIN = 50;

export interface ResolutionOptions {
  /** In the order in which they are asked; the first that finds the node ends the look-up. */
  readonly sources: readonly Source[];
  readonly domains: Pick<Domains, "of" | "expand" | "isRelative">;
  readonly family: Family | "any";
  readonly preferReachable: boolean;
  /** Milliseconds for a whole look-up. */
  readonly timeout: number;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
}

export interface ResolveOptions {
  readonly sameHost: boolean;
  readonly dialled?: string;
  /** The client is a stranger, or another EPMD that asks for a client of its own: only sources for strangers are asked. */
  readonly forStranger?: boolean;
  /** Only this source is asked. */
  readonly only?: SourceName;
  /** Whether the client can use an endpoint; only those are probed. */
  readonly usable?: (endpoint: Endpoint) => boolean;
  /** False for strangers: nothing is dialled on their behalf. */
  readonly mayProbe?: boolean;
  /** Milliseconds for this look-up; default `--timeout`. */
  readonly timeout?: number;
  readonly trace?: Trace;
}

/** The result of the sources, and the question to the source that gave it. */
interface Answered {
  readonly resolution: Resolution;
  readonly asked: NodeQuestion;
  /** Undefined: no source could be asked, or none answered in time. */
  readonly source: Source | undefined;
}

/** Look-ups, for PORT_PLEASE2 and for `resolve`. */
export class NodeResolver {
  readonly #options: ResolutionOptions;
  readonly #silent = new SilentAddresses();

  constructor(options: ResolutionOptions) {
    this.#options = options;
  }

  /** At once when a source that needs no I/O knows the node. Never rejects for what the network or a name does. */
  resolve(name: NodeName, options: ResolveOptions): Resolution | Promise<Resolution> {
    const question = this.#question(name);
    if ("outcome" in question) return question;
    options.trace?.({ step: "name", asked: formatNodeName(name), ...question.node });
    const { forStranger = false, only } = options;
    const context: LookupContext = {
      deadline: this.#options.now() + (options.timeout ?? this.#options.timeout),
      sameHost: options.sameHost,
      ...(options.dialled === undefined ? {} : { dialled: options.dialled }),
      ...(forStranger ? { forStranger } : {}),
      ...(options.trace ? { trace: options.trace } : {}),
    };
    const sources = this.#options.sources.filter(
      (source) =>
        (!forStranger || source.forStrangers) &&
        (only === undefined || source.name === only) &&
        isAskable(source, question),
    );
    const answered = this.#ask(question, sources, context, undefined);
    const arrange = (answer: Answered) =>
      answer.resolution.outcome === "found"
        ? this.#arrange(answer.resolution, answer, context, options)
        : answer.resolution;
    const settle = (answer: Answered) => this.#settle(answer, question, sources, context);
    if (!(answered instanceof Promise)) return arrange(settle(answered));
    // The time-out is for the sources only: a node that was found stays found.
    const concluded = answered.then((answer) => this.#late(answer, question, sources, context)).then(settle);
    return this.#inTime(concluded, settle, question, context, options).then(arrange);
  }

  /** The name with its host as it is looked up. */
  fullName(name: NodeName): string {
    return formatNodeName({ aliveName: name.aliveName, host: this.#expand(name) });
  }

  /** An endpoint that a look-up gave refuses connections. */
  refused(name: NodeName, endpoint: Pick<Endpoint, "address" | "port">): void {
    const question = this.#question(name);
    if ("outcome" in question) return;
    for (const source of this.#options.sources) {
      const asked = this.#prepare(source, question);
      if (!("outcome" in asked)) source.onRefused?.(asked, endpoint);
    }
  }

  #expand({ aliveName, host }: Pick<NodeName, "aliveName" | "host">): string {
    const { domains } = this.#options;
    if (host !== undefined) return domains.expand(host);
    // A bare name without a domain can only be a node of this machine.
    return domains.of(aliveName) ?? "localhost";
  }

  #question(name: NodeName): NodeQuestion | Resolution {
    const { aliveName, family, form } = name;
    if (family !== undefined && this.#options.family !== "any" && family !== this.#options.family) {
      return notFound("NAME_FAMILY", `asked for IPv${family}, but --family is ${this.#options.family}`);
    }
    const host = this.#expand(name);
    return {
      node: { aliveName, host, family, form },
      family: family ?? this.#options.family,
      ...(name.host === undefined || host === name.host ? {} : { shortHost: name.host }),
      ...(this.#options.domains.isRelative(name) ? { search: true } : {}),
    };
  }

  #ask(
    question: NodeQuestion,
    [source, ...others]: readonly Source[],
    context: LookupContext,
    before: Resolution | undefined,
  ): Answered | Promise<Answered> {
    if (!source) {
      const resolution = before ?? notFound("NAME_NO_SOURCE", "no source can know this node");
      return { resolution, asked: question, source: undefined };
    }
    const asked = this.#prepare(source, question);
    if ("outcome" in asked) return this.#ask(question, others, context, better(before, asked, source));
    if (source.serves?.(asked) === false) return this.#ask(question, others, context, before);
    const take = (resolution: Resolution) => {
      context.trace?.({ step: "source", source: source.name, result: resolutionWords(resolution) });
      if (resolution.outcome === "found") return { resolution, asked, source };
      return this.#ask(question, others, context, better(before, resolution, source));
    };
    const result = source.lookUp(asked, context);
    return result instanceof Promise ? result.then(take) : take(result);
  }

  /** Tells the sources that were asked in vain; without an answer takes the last good one that a source has. */
  #settle(answer: Answered, question: NodeQuestion, sources: readonly Source[], context: LookupContext): Answered {
    const { resolution } = answer;
    for (const source of sources) {
      if (source === answer.source) break;
      const { lastGood, foundLater } = source;
      if (!lastGood && !foundLater) continue;
      const asked = this.#prepare(source, question);
      if ("outcome" in asked) continue;
      if (resolution.outcome === "found") {
        foundLater?.(asked, resolution);
        continue;
      }
      const found = lastGood?.(asked, context, resolution);
      if (!found) continue;
      context.trace?.({ step: "source", source: source.name, result: resolutionWords(found) });
      return { resolution: found, asked, source };
    }
    return answer;
  }

  /** Takes what a source has learnt since it was asked, when no source has found the node. */
  async #late(
    answer: Answered,
    question: NodeQuestion,
    sources: readonly Source[],
    context: LookupContext,
  ): Promise<Answered> {
    const { resolution } = answer;
    if (resolution.outcome === "found") return answer;
    for (const source of sources) {
      const asked = this.#prepare(source, question);
      if (!source.lateAnswer || "outcome" in asked) continue;
      const found = await source.lateAnswer(asked, context, resolution);
      if (!found) continue;
      context.trace?.({ step: "source", source: source.name, result: resolutionWords(found) });
      return { resolution: found, asked, source };
    }
    return answer;
  }

  /** An address as host part means the endpoints of the alive name's own domain that have this address. */
  #prepare({ usesDomain }: Source, question: NodeQuestion): NodeQuestion | Resolution {
    const { aliveName, host } = question.node;
    if (!usesDomain || familyOf(host) === undefined) return question;
    const domain = this.#options.domains.of(aliveName);
    if (domain === undefined) {
      const reason = `${host} is an address, and no --domain says where ${aliveName} is looked up`;
      return notFound("NAME_NO_DOMAIN", reason);
    }
    return { ...question, node: { ...question.node, host: domain }, search: false, onlyAddress: host };
  }

  /** Puts first the endpoint that accepts connections: during a rolling update old and new instance share a name. */
  #arrange(
    found: Found,
    { asked, source }: Answered,
    context: LookupContext,
    options: ResolveOptions,
  ): Found | Promise<Found> {
    const { preferReachable, now } = this.#options;
    context.trace?.({ step: "order", source: found.source, endpoints: found.endpoints });
    const usable = found.endpoints.filter(options.usable ?? (() => true));
    if (!source?.mayProbe || !preferReachable || options.mayProbe === false || usable.length < 2) return found;
    const limit = Math.min(PROBE_LIMIT, context.deadline - now() - PROBE_MARGIN);
    if (limit <= 0) return found;
    const bounds = new Bounds(context.trace);
    const probed = bounds.take("probes", this.#silent.order(usable, now()), MAX_PROBES);
    const leftOut = [...(found.leftOut ?? []), ...(bounds.told.leftOut ?? [])];
    const told = leftOut.length > 0 ? { ...found, leftOut } : found;
    return probe(probed, limit, context.trace).then(({ accepting, refused, failed, silent }) => {
      for (const { address } of silent) this.#silent.note(address, now());
      if (accepting) this.#silent.answered(accepting.address);
      for (const endpoint of refused) source.onRefused?.(asked, endpoint);
      if (!accepting) return told;
      if (accepting !== found.endpoints[0]) context.trace?.({ step: "preferred", endpoint: accepting });
      const last = new Set([...refused, ...failed]);
      const rank = (endpoint: Endpoint) => (endpoint === accepting ? 0 : last.has(endpoint) ? 2 : 1);
      // Array.prototype.sort is stable: the RFC 2782 order holds among equals.
      return { ...told, endpoints: [...found.endpoints].sort((a, b) => rank(a) - rank(b)) };
    });
  }

  /** @param settle takes the last good answer instead, as soon as a client should wait no longer for another one */
  #inTime(
    answered: Promise<Answered>,
    settle: (answer: Answered) => Answered,
    asked: NodeQuestion,
    { deadline }: LookupContext,
    options: ResolveOptions,
  ): Promise<Answered> {
    const { timeout = this.#options.timeout } = options;
    const { now } = this.#options;
    const resolution = unavailable("LOOKUP_TIMEOUT", `no answer within ${timeout} ms`);
    const late: Answered = { resolution, asked, source: undefined };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<Answered>((resolve) => {
      const end = () => resolve(settle(late));
      const remaining = deadline - now();
      const look = () => {
        const settled = settle(late);
        if (settled !== late) resolve(settled);
        else timer = setTimeout(end, Math.max(0, deadline - now()));
      };
      timer =
        remaining > CLIENT_RESPONSE_TIMER
          ? setTimeout(look, CLIENT_RESPONSE_TIMER)
          : setTimeout(end, Math.max(0, remaining));
    });
    return Promise.race([answered, limit]).finally(() => clearTimeout(timer));
  }
}

/** Name servers are not asked for `localhost` and names of one label. */
function isAskable({ needsFullName }: Source, { node: { host } }: NodeQuestion): boolean {
  return !needsFullName || host.includes(".") || familyOf(host) !== undefined;
}

/** The result when no source finds the node: the first `unavailable`, else that of the last source that explains an absence. */
function better(before: Resolution | undefined, now: Resolution, { explainsAbsence }: Source): Resolution {
  if (before?.outcome === "unavailable") return before;
  return explainsAbsence ? now : (before ?? now);
}
