import { hostPort } from "../net/ip.js";
import {
  askServer,
  because,
  pauseFor,
  type Query,
  type Try,
  type TryContext,
  type TryFailure,
  type TryResult,
} from "./ask-server.js";
import { type ExchangeSlots, type NameServer, slotHolder } from "./exchange.js";
import type { DnsFailure, DnsFailureCode, Settled } from "./wire/answer.js";

/** Milliseconds; each round of tries is given twice the time of the one before. */
const FIRST_TRY_TIMEOUT = 500;
/** A try is given this much even when many servers have to share the time that is left. */
const SHORTEST_TRY = 100;
/** Between two rounds in which every server failed at once, doubled each time. */
const FIRST_BACKOFF = 200;
/** The pause before a last round is cut to leave time for that round, but not below this. */
const SHORTEST_BACKOFF = 50;
/** After this many rounds the query ends when every failure was a refusal. */
const REFUSED_ROUNDS = 3;

/** With the gateway this machine's programs ask us, and we would ask ourselves. */
const ONLY_OURSELVES =
  "no name server to ask: resolv.conf names only the gateway itself; give one with --gateway-forward or --dns";

export type AskResult =
  | { readonly kind: "answered"; readonly answer: Settled; readonly server: string }
  | (DnsFailure & {
      /** The deadline that left no time to go on; undefined when more time would not have helped. */
      readonly endedBy: number | undefined;
    });

export interface AskContext extends TryContext {
  readonly slots: ExchangeSlots;
  /** Gets each failure when it happens, for clients whose time is over before the query's. */
  readonly tally: Tally;
  /** Only strangers wait for the answer so far. */
  readonly isForStranger: () => boolean;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called when every server has failed once. */
  readonly troubled: () => void;
}

/**
 * Asks the servers of a name one after the other, in rounds with growing time-outs, until one settles the question or the
 * time is over.
 */
export async function askServers(query: Query, context: AskContext): Promise<AskResult> {
  const { nameServers, slots, now, signal, tally } = context;
  const left = () => (signal.aborted ? 0 : context.deadline() - now());
  let partial: { readonly result: TryResult; readonly server: string } | undefined;
  const orPartial = (otherwise: AskResult): AskResult => {
    if (!partial) return otherwise;
    const { result, server } = partial;
    const records = result.answer.kind === "records" ? result.answer.records.length : 0;
    context.trace({ step: "partial", server, ...query, records });
    return { kind: "answered", answer: result.answer, server };
  };
  const timeOver = () => orPartial(unavailable(tally, context.deadline()));
  for (let round = 0; ; round++) {
    const { servers, timeout, attempts, useTcp } = await nameServers.serversFor(query.qname, now());
    if (servers.length === 0)
      return { kind: "unavailable", cause: ONLY_OURSELVES, code: "DNS_UNREACHABLE", endedBy: undefined };
    let waited = false;
    for (const [index, server] of servers.entries()) {
      const holder = slotHolder(server, query.qname);
      const patience = timeout ?? FIRST_TRY_TIMEOUT * 2 ** round * (0.85 + 0.3 * context.random());
      const share = () => Math.max(left() / (servers.length - index), SHORTEST_TRY);
      // While all slots of a silent server are taken, the next server is asked instead.
      const giveUp = index + 1 < servers.length ? now() + Math.min(patience, share()) : Number.POSITIVE_INFINITY;
      if (!(await slots.take(holder, () => Math.min(left(), giveUp - now()), signal, context.isForStranger))) {
        if (left() <= 0) return timeOver();
        waited = true;
        continue;
      }
      const limit = Math.min(patience, share(), left());
      const isLast = attempts === round + 1 || limit > left() - SHORTEST_TRY;
      const tcpAfter = tally.wasSilent(server) ? 0 : isLast ? limit / 2 : undefined;
      const asking = round === 0 ? context : because(`try ${round + 1}`, context);
      const began = now();
      const result = await tryServer(query, server, { timeout: limit, useTcp, tcpAfter }, asking).finally(() =>
        slots.give(holder),
      );
      const name = hostPort(server.address, server.port);
      if (result && !result.isPartial) return { kind: "answered", answer: result.answer, server: name };
      if (result) partial ??= { result, server: name };
      waited ||= now() - began >= limit / 2;
    }
    // No server has the whole answer: a part is better than nothing.
    if (partial) return orPartial(unavailable(tally, undefined));
    context.troubled();
    if (attempts !== undefined && round + 1 >= attempts) return unavailable(tally, undefined);
    if (round + 1 >= REFUSED_ROUNDS && tally.allRefused) return unavailable(tally, undefined);
    // A try that timed out was pause enough.
    if (waited) continue;
    const backoff = FIRST_BACKOFF * 2 ** round * (0.75 + 0.5 * context.random());
    const pause = Math.min(backoff, left() - SHORTEST_TRY);
    if (pause < SHORTEST_BACKOFF) return timeOver();
    await pauseFor(pause, signal);
  }
}

/** @returns undefined: no answer; the tally has the reason */
async function tryServer(
  query: Query,
  server: NameServer,
  how: Try,
  context: AskContext,
): Promise<TryResult | undefined> {
  const { nameServers, now, tally } = context;
  tally.asking(server);
  const result = await askServer(query, server, how, context);
  if ("answer" in result) {
    nameServers.answered(server);
    tally.answered();
    return result;
  }
  // An exchange that we ended says nothing about the server.
  if (result.reason !== "aborted") nameServers.failed(server, now());
  tally.failed(server, result);
  return undefined;
}

function unavailable({ cause, code }: Tally, endedBy: number | undefined): AskResult {
  return { kind: "unavailable", cause, code, endedBy };
}

/** System codes that say at once that no server is there. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
  "EINVAL",
]);
/** A server that says one of these will not answer later either. */
const WILL_NOT = new Set(["REFUSED", "NOTIMP", "FORMERR", "BADVERS", "lame"]);
/** Reasons of `exchange` for messages that do not answer the query. */
const NO_ANSWERS = new Set(["another name", "another question", "no question", "malformed answer"]);

/** For people. */
const WORDS: Readonly<Record<string, string>> = {
  timeout: "timed out",
  ECONNREFUSED: "refused the connection (ECONNREFUSED)",
  lame: "has no data for this name and does not ask other servers (lame)",
  "another name": "gave an answer for another name",
  "another question": "gave an answer to another question",
  "no question": "gave an answer without its question",
  "malformed answer": "gave a malformed answer",
};

interface Failure {
  readonly count: number;
  /** Of the last time. */
  readonly detail: string | undefined;
}

/** The failures of one query, by server: for the reason, and to decide when to give up. */
export class Tally {
  readonly #qname: string;
  /** Server, then reason, then how often. */
  readonly #failures = new Map<string, Map<string, Failure>>();
  #pending: NameServer | undefined;

  constructor(qname: string) {
    this.#qname = qname;
  }

  asking(server: NameServer): void {
    this.#pending = server;
  }

  answered(): void {
    this.#pending = undefined;
  }

  failed(server: NameServer, { reason, detail }: TryFailure): void {
    this.#pending = undefined;
    const name = hostPort(server.address, server.port);
    const reasons = this.#failures.get(name) ?? new Map<string, Failure>();
    reasons.set(reason, { count: (reasons.get(reason)?.count ?? 0) + 1, detail });
    this.#failures.set(name, reasons);
  }

  /** The server was asked, and no message came. */
  wasSilent({ address, port }: NameServer): boolean {
    const reasons = Array.from(this.#failures.get(hostPort(address, port))?.keys() ?? []);
    return reasons.some((reason) => reason === "timeout" || UNREACHABLE.has(reason));
  }

  /** Every failure so far was a refusal: another try will hardly help. */
  get allRefused(): boolean {
    return this.#reasons().every(
      (reason) => UNREACHABLE.has(reason) || WILL_NOT.has(reason) || reason === "another name",
    );
  }

  get code(): DnsFailureCode {
    const reasons = this.#reasons();
    // Such a try often ends with a timeout too; the message says more.
    if (reasons.some((reason) => NO_ANSWERS.has(reason))) return "DNS_BAD_ANSWER";
    if (reasons.length === 0 || reasons.includes("timeout")) return "DNS_TIMEOUT";
    if (reasons.includes("SERVFAIL")) return "DNS_SERVFAIL";
    return reasons.some((reason) => WILL_NOT.has(reason)) ? "DNS_REFUSED" : "DNS_UNREACHABLE";
  }

  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  get cause(): string {
    const servers = Array.from(this.#failures, ([server, reasons]) => {
      const said = Array.from(reasons, ([reason, { count, detail }]) => `${inWords(reason, detail)} ${tries(count)}`);
      return `${server} ${said.join(" and ")}`;
    });
    if (this.#pending) servers.push(`${hostPort(this.#pending.address, this.#pending.port)} has yet to answer`);
    return `no name server could answer for ${this.#qname}: ${servers.join("; ") || "there was no time to ask"}`;
  }

  #reasons(): string[] {
    return Array.from(this.#failures.values()).flatMap((reasons) => Array.from(reasons.keys()));
  }
}

function inWords(reason: string, detail: string | undefined): string {
  const words = WORDS[reason];
  if (words !== undefined) return detail === undefined ? words : `${words} (${detail})`;
  if (/^[A-Z]+[0-9]*$/.test(reason) && !UNREACHABLE.has(reason) && !reason.startsWith("E")) return `said ${reason}`;
  return `failed (${reason})`;
}

function tries(count: number): string {
  return count === 1 ? "after 1 try" : `after ${count} tries`;
}
