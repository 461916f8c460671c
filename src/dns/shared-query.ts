import type { Observe } from "../daemon/core/observations.js";
import { describeError } from "../errors.js";
import type { Trace } from "../resolve/core/resolution.js";
import { because, pauseFor, type Query } from "./ask-server.js";
import { type AskContext, askServers, Tally } from "./ask-servers.js";
import type { ExchangeSlots } from "./exchange.js";
import type { NameServers } from "./name-servers.js";
import type { UdpSockets } from "./udp-sockets.js";
import type { Absence, DnsResult } from "./wire/answer.js";
import { RCODES } from "./wire/message.js";

export interface QueryEnd {
  readonly result: DnsResult;
  /** The last deadline of the clients, when it ended the query; undefined: the servers did. */
  readonly endedBy: number | undefined;
}

export interface SharedQueryDeps {
  readonly nameServers: NameServers;
  readonly slots: ExchangeSlots;
  readonly sockets: UdpSockets;
  readonly now: () => number;
  readonly random: () => number;
  readonly closing: AbortSignal;
  /** The last good answer in the cache, unless it is older than so many milliseconds. */
  readonly lastGood: (maxAge: number) => object | undefined;
  /** Called for each query that is sent. */
  readonly observe: Observe;
}

/** CNAMEs that lead out of one message into the next question. */
const MAX_ALIASES = 8;
/** Followers of a Consul cluster see a registration 50-100 ms after its leader: after an NXDOMAIN, milliseconds to the next try. */
const ABSENCE_RETRY = 150;
/** How long "known a moment ago" is, milliseconds. */
const KNOWN_RECENTLY = 60_000;
/** The query ends this much before the last deadline, so that its clients get the reason in time. Milliseconds. */
const MARGIN = 30;

/** A query under way. Clients that ask the same question meanwhile share it. */
export class SharedQuery {
  readonly #question: Query;
  readonly #deps: SharedQueryDeps;
  readonly #tally: Tally;
  readonly #traces = new Set<Trace>();
  /** Never rejects. */
  readonly end: Promise<QueryEnd>;
  /** Fulfilled when every server has failed once; the query goes on. */
  readonly trouble: Promise<void>;
  #troubled: () => void = () => {};
  #settle: (end: QueryEnd) => void = () => {};
  #deadline = Number.NEGATIVE_INFINITY;
  #absence: Absence | undefined;
  #isForStrangersOnly = true;

  constructor(question: Query, deps: SharedQueryDeps) {
    this.#question = question;
    this.#deps = deps;
    this.#tally = new Tally(question.qname);
    this.#traces.add(observeQueries(deps.observe));
    this.end = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.trouble = new Promise((resolve) => {
      this.#troubled = resolve;
    });
  }

  /** The query goes on until the last deadline of its clients. */
  join(deadline: number, trace: Trace | undefined, forStranger = false): void {
    if (!forStranger) this.#isForStrangersOnly = false;
    this.#deadline = Math.max(this.#deadline, deadline);
    if (trace) this.#traces.add(trace);
  }

  /** @param ended called before a client that waits for `end` goes on */
  start(ended: (end: QueryEnd) => void): void {
    const finish = (end: QueryEnd) => {
      ended(end);
      this.#settle(end);
    };
    this.#run().then(finish, (error: unknown) =>
      finish({
        result: { kind: "unavailable", cause: `DNS query failed: ${describeError(error)}`, code: "DNS_UNREACHABLE" },
        endedBy: undefined,
      }),
    );
  }

  /** The result for a client whose time is over before the query ends. */
  soFar(): DnsResult {
    return this.#absence ?? { kind: "unavailable", cause: this.#tally.cause, code: this.#tally.code };
  }

  async #run(): Promise<QueryEnd> {
    const end = await this.#followAliases();
    const { closing, lastGood, now } = this.#deps;
    if (end.result.kind !== "nxdomain" || !lastGood(KNOWN_RECENTLY)) return end;
    // The node was there a moment ago: it may be restarting.
    this.#absence = end.result;
    if (this.#deadline - MARGIN - now() <= ABSENCE_RETRY) return end;
    await pauseFor(ABSENCE_RETRY, closing);
    if (closing.aborted) return end;
    const again = await this.#followAliases("it was there a moment ago");
    return again.result.kind === "unavailable" ? end : again;
  }

  /** Asks, and asks for the target of a CNAME that came without its target's records. */
  async #followAliases(why?: string): Promise<QueryEnd> {
    const { qtype } = this.#question;
    let { qname } = this.#question;
    let context = why === undefined ? this.#context() : because(why, this.#context());
    let lowestTtl = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
      const asked = await askServers({ qname, qtype }, context);
      if (asked.kind === "unavailable") {
        const { endedBy, ...result } = asked;
        return { result, endedBy: endedBy === undefined ? undefined : endedBy + MARGIN };
      }
      const { answer, server } = asked;
      const ttl = Math.min(lowestTtl, answer.ttl);
      if (answer.kind === "records") return { result: { stale: false, server, ...answer, ttl }, endedBy: undefined };
      if (answer.kind !== "alias") return { result: { kind: answer.kind, ttl, server }, endedBy: undefined };
      context = because(`${qname} is an alias (CNAME)`, this.#context());
      qname = answer.target;
      lowestTtl = ttl;
    }
    const cause = `${this.#question.qname} leads through more than ${MAX_ALIASES} aliases (CNAME)`;
    return { result: { kind: "unavailable", cause, code: "DNS_SERVFAIL" }, endedBy: undefined };
  }

  #context(): AskContext {
    const { nameServers, slots, sockets, now, random, closing } = this.#deps;
    return {
      nameServers,
      slots,
      sockets,
      now,
      random,
      deadline: () => this.#deadline - MARGIN,
      isForStranger: () => this.#isForStrangersOnly,
      signal: closing,
      tally: this.#tally,
      troubled: this.#troubled,
      trace: (event) => {
        for (const trace of this.#traces) trace(event);
      },
    };
  }
}

/** How a query ended, in a few words: a metric has a series for each. */
const RESULTS = new Map([
  ...RCODES.map((rcode) => [rcode, rcode] as const),
  ["timeout", "timeout"],
  ["truncated", "truncated"],
  ["ECONNREFUSED", "unreachable"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
]);

/** A trace that observes each query that is sent. */
function observeQueries(observe: Observe): Trace {
  return (event) => {
    if (event.step !== "query" || event.transport === "cache") return;
    const { transport, result, elapsedMs } = event;
    observe({ type: "query", transport, rcode: RESULTS.get(result) ?? "error", elapsedMs });
  };
}
