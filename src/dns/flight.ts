import { describeError } from "../errors.js";
import type { Trace } from "../resolve/core/resolution.js";
import { type AskContext, ask } from "./ask.js";
import type { ExchangeSlots } from "./exchange-slots.js";
import type { NameServers } from "./name-servers.js";
import type { Absence, DnsResult } from "./resolver.js";
import { Tally } from "./tally.js";
import { because, pauseFor } from "./tell.js";
import type { QueryType } from "./wire/record.js";

export interface FlightEnd {
  readonly result: DnsResult;
  /** The last deadline of those who had joined, when that ended it and not the servers. */
  readonly endedBy: number | undefined;
}

export interface FlightDeps {
  readonly nameServers: NameServers;
  readonly slots: ExchangeSlots;
  readonly now: () => number;
  readonly random: () => number;
  readonly closing: AbortSignal;
  /** Whether the name had records within so many milliseconds. */
  readonly knownUntilNow: (within: number) => boolean;
}

/** CNAMEs that lead out of one message into the next question. */
const MAX_ALIASES = 8;
/** Followers of a Consul cluster see a registration 50-100 ms after its leader: an absence is asked about again after this. */
const ABSENCE_RETRY = 150;
/** How long "known a moment ago" is, milliseconds. */
const KNOWN_RECENTLY = 60_000;
/** A flight lands this much before the last deadline, so that those who wait hear why. Milliseconds. */
const MARGIN = 30;

/** One question on its way, shared by all who ask it meanwhile. */
export class Flight {
  readonly #question: { readonly qname: string; readonly qtype: QueryType };
  readonly #deps: FlightDeps;
  readonly #tally: Tally;
  readonly #traces = new Set<Trace>();
  /** Never rejects. */
  readonly end: Promise<FlightEnd>;
  /** Fulfilled when every server has failed once; they go on being asked. */
  readonly trouble: Promise<void>;
  #troubled: () => void = () => {};
  #land: (end: FlightEnd) => void = () => {};
  #deadline = Number.NEGATIVE_INFINITY;
  #absence: Absence | undefined;
  /** Only strangers have joined. */
  #isForStrangers = true;

  constructor(question: { readonly qname: string; readonly qtype: QueryType }, deps: FlightDeps) {
    this.#question = question;
    this.#deps = deps;
    this.#tally = new Tally(question.qname);
    this.end = new Promise((resolve) => {
      this.#land = resolve;
    });
    this.trouble = new Promise((resolve) => {
      this.#troubled = resolve;
    });
  }

  listen(trace: Trace): void {
    this.#traces.add(trace);
  }

  /** The flight goes on until the last deadline of those who joined. */
  join(deadline: number, trace: Trace | undefined, forStranger = false): void {
    if (!forStranger) this.#isForStrangers = false;
    this.#deadline = Math.max(this.#deadline, deadline);
    if (trace) this.listen(trace);
  }

  /** @param landed called before anybody who waits for `end` goes on */
  start(landed: (end: FlightEnd) => void): void {
    const finish = (end: FlightEnd) => {
      landed(end);
      this.#land(end);
    };
    this.#fly().then(finish, (error: unknown) =>
      finish({
        result: { kind: "unavailable", cause: `DNS query failed: ${describeError(error)}`, code: "DNS_UNREACHABLE" },
        endedBy: undefined,
      }),
    );
  }

  /** What can be said to somebody whose time is over before the flight's. */
  soFar(): DnsResult {
    return this.#absence ?? { kind: "unavailable", cause: this.#tally.cause, code: this.#tally.code };
  }

  async #fly(): Promise<FlightEnd> {
    const end = await this.#follow();
    const { closing, knownUntilNow, now } = this.#deps;
    if (end.result.kind !== "nxdomain" || !knownUntilNow(KNOWN_RECENTLY)) return end;
    // A node that was there a moment ago is as likely to be on its way back as gone.
    this.#absence = end.result;
    if (this.#deadline - MARGIN - now() <= ABSENCE_RETRY) return end;
    await pauseFor(ABSENCE_RETRY, closing);
    if (closing.aborted) return end;
    const again = await this.#follow("it was there a moment ago");
    return again.result.kind === "unavailable" ? end : again;
  }

  /** Asks, and asks for the target of a CNAME that came without its target's records. */
  async #follow(why?: string): Promise<FlightEnd> {
    const { qtype } = this.#question;
    let { qname } = this.#question;
    let context = why === undefined ? this.#context() : because(why, this.#context());
    let lowestTtl = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
      const asked = await ask({ qname, qtype }, context);
      if (asked.kind === "unavailable") {
        const { cause, code, endedBy } = asked;
        return {
          result: { kind: "unavailable", cause, code },
          endedBy: endedBy === undefined ? undefined : endedBy + MARGIN,
        };
      }
      const { answer, server } = asked;
      const ttl = Math.min(lowestTtl, answer.ttl);
      if (answer.kind === "records") return { result: { ...answer, ttl, stale: false, server }, endedBy: undefined };
      if (answer.kind !== "alias") return { result: { kind: answer.kind, ttl, server }, endedBy: undefined };
      context = because(`${qname} is an alias (CNAME)`, this.#context());
      qname = answer.target;
      lowestTtl = ttl;
    }
    const cause = `${this.#question.qname} leads through more than ${MAX_ALIASES} aliases (CNAME)`;
    return { result: { kind: "unavailable", cause, code: "DNS_SERVFAIL" }, endedBy: undefined };
  }

  #context(): AskContext {
    const { nameServers, slots, now, random, closing } = this.#deps;
    return {
      nameServers,
      slots,
      now,
      random,
      deadline: () => this.#deadline - MARGIN,
      isForStranger: () => this.#isForStrangers,
      signal: closing,
      tally: this.#tally,
      troubled: this.#troubled,
      trace: (event) => {
        for (const trace of this.#traces) trace(event);
      },
    };
  }
}
