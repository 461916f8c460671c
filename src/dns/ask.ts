import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, readAnswer } from "../core/dns/answer.js";
import { UDP_PAYLOAD_SIZE } from "../core/dns/message.js";
import { presentRecord, type QueryType } from "../core/dns/record.js";
import { hostPort } from "../core/ip.js";
import type { Trace } from "../core/trace.js";
import { type ExchangeResult, exchange, type NameServer } from "./exchange.js";
import { type ExchangeSlots, slotHolder } from "./exchange-slots.js";
import type { NameServers } from "./name-servers.js";
import type { UnavailableCode } from "./result.js";
import type { Tally } from "./tally.js";

/** Milliseconds; each round of tries is given twice the time of the one before. */
const FIRST_TRY_TIMEOUT = 500;
/** A try is given this much even when many servers have to share the time that is left. */
const SHORTEST_TRY = 100;
/** Between two rounds that failed without waiting for anybody, doubled each time. */
const FIRST_BACKOFF = 200;
/** A last round comes earlier than that, so that there is time for it, but not earlier than this. */
const SHORTEST_BACKOFF = 50;
/** Connections over TCP are not bound to the try's time-out: they were asked for by the server. */
const TCP_TIMEOUT = 1_000;
/**
 * Consul leaves out what does not fit into a datagram and sets no TC unless dns_config.enable_truncate is on. An answer
 * that comes this close to the size that we allow may lack something: room for an SRV record and its addresses. Octets.
 */
const CROWDED_MARGIN = 256;
/** Rounds after which servers that plainly say no are believed. */
const REFUSED_ROUNDS = 3;

/** With the gateway this machine's programs ask us, and we would ask ourselves. */
const ONLY_OURSELVES =
  "no name server to ask: resolv.conf names only the gateway itself; give one with --gateway-forward or --dns";

/** An answer that settles the question. */
export type Settled = Extract<Answer, { kind: "records" | "alias" | "nodata" | "nxdomain" }>;

export type Asked =
  | { readonly kind: "answered"; readonly answer: Settled; readonly server: string }
  | {
      readonly kind: "unavailable";
      readonly cause: string;
      readonly code: UnavailableCode;
      /** The deadline that left no time to go on; undefined when more time would not have helped. */
      readonly endedBy: number | undefined;
    };

export interface AskContext {
  readonly nameServers: NameServers;
  readonly slots: ExchangeSlots;
  /** Milliseconds. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** On the clock of `now`; read again before every step, because it may move while we ask. */
  readonly deadline: () => number;
  readonly signal: AbortSignal;
  readonly trace: Trace;
  /** Takes note of failures as they happen, for who cannot wait for the end. */
  readonly tally: Tally;
  /** Told when every server has failed once. */
  readonly troubled: () => void;
}

interface Query {
  readonly qname: string;
  readonly qtype: QueryType;
}

/** Asks the servers of a name one after the other, again and again with growing patience, until one settles it or time is over. */
export async function ask(query: Query, context: AskContext): Promise<Asked> {
  const { nameServers, slots, now, signal, tally } = context;
  const left = () => (signal.aborted ? 0 : context.deadline() - now());
  const timeOver = () => unavailable(tally, context.deadline());
  for (let round = 0; ; round++) {
    const { servers, timeout, attempts } = await nameServers.serversFor(query.qname, now());
    if (servers.length === 0)
      return { kind: "unavailable", cause: ONLY_OURSELVES, code: "DNS_UNREACHABLE", endedBy: undefined };
    let waited = false;
    for (const [index, server] of servers.entries()) {
      const holder = slotHolder(server, query.qname);
      const patience = timeout ?? FIRST_TRY_TIMEOUT * 2 ** round * (0.85 + 0.3 * context.random());
      const share = () => Math.max(left() / (servers.length - index), SHORTEST_TRY);
      // The slots of a server that is silent are all taken: the next one is asked instead.
      const giveUp = index + 1 < servers.length ? now() + Math.min(patience, share()) : Number.POSITIVE_INFINITY;
      if (!(await slots.take(holder, () => Math.min(left(), giveUp - now()), signal))) {
        if (left() <= 0) return timeOver();
        waited = true;
        continue;
      }
      const limit = Math.min(patience, share(), left());
      const asking = round === 0 ? context : because(`try ${round + 1}`, context);
      const answer = await askServer(query, server, limit, asking).finally(() => slots.give(holder));
      if (answer) return { kind: "answered", answer, server: hostPort(server.address, server.port) };
      waited ||= tally.lastReason === "timeout";
    }
    context.troubled();
    if (attempts !== undefined && round + 1 >= attempts) return unavailable(tally, undefined);
    if (round + 1 >= REFUSED_ROUNDS && tally.allRefused) return unavailable(tally, undefined);
    // The patience of a try that timed out was pause enough.
    if (waited) continue;
    const backoff = FIRST_BACKOFF * 2 ** round * (0.75 + 0.5 * context.random());
    const pause = Math.min(backoff, left() - SHORTEST_TRY);
    if (pause < SHORTEST_BACKOFF) return timeOver();
    await pauseFor(pause, signal);
  }
}

function unavailable(tally: Tally, endedBy: number | undefined): Asked {
  return { kind: "unavailable", cause: tally.cause, code: tally.code, endedBy };
}

/** One try of one server, with the two things that make the same server be asked once more. */
async function askServer(
  query: Query,
  server: NameServer,
  timeout: number,
  context: AskContext,
): Promise<Settled | undefined> {
  const { nameServers, now, tally } = context;
  tally.asking(server);
  const limited = (patience: number) => Math.max(1, Math.min(patience, context.deadline() - now()));
  let edns = true;
  let { said, size } = await tell(query, server, "udp", edns, limited(timeout), context);
  // RFC 6891 section 7: a server that knows no EDNS says FORMERR (or NOTIMP).
  if (isRcode(said, "FORMERR") || isRcode(said, "NOTIMP") || isRcode(said, "BADVERS")) {
    edns = false;
    const asking = because("the server may not know EDNS(0): without it", context);
    ({ said, size } = await tell(query, server, "udp", edns, limited(timeout), asking));
  }
  const crowded = said.kind === "records" && size > UDP_PAYLOAD_SIZE - CROWDED_MARGIN;
  // RFC 7766 section 5: TC means the same question over TCP, to the same server.
  if (said.kind === "truncated" || crowded) {
    const why = crowded ? `${size} octets: the answer may lack records (no TC)` : "the answer was truncated (TC)";
    const { said: whole } = await tell(query, server, "tcp", edns, limited(TCP_TIMEOUT), because(why, context));
    // A crowded answer is an answer: it stands when the server does not speak TCP.
    if (whole.kind === "records" || !crowded) said = whole;
  }
  if (said.kind === "records" || said.kind === "alias" || said.kind === "nodata" || said.kind === "nxdomain") {
    nameServers.answered(server);
    tally.answered();
    return said;
  }
  const reason = said.kind === "failed" ? said.reason : "truncated over TCP";
  // The end of our own time says nothing about the server.
  if (reason !== "aborted") nameServers.failed(server, now());
  tally.failed(server, reason);
  return undefined;
}

/** Queries that follow another one say why in the trace. */
export function because<T extends { readonly trace: Trace }>(why: string, context: T): T {
  return { ...context, trace: (event) => context.trace(event.step === "query" ? { because: why, ...event } : event) };
}

type Said = Settled | { readonly kind: "truncated" } | { readonly kind: "failed"; readonly reason: string };

function isRcode(said: Said, rcode: string): boolean {
  return said.kind === "failed" && said.reason === rcode;
}

async function tell(
  { qname, qtype }: Query,
  server: NameServer,
  transport: "udp" | "tcp",
  edns: boolean,
  timeout: number,
  { signal, trace }: AskContext,
): Promise<{ said: Said; size: number }> {
  const started = performance.now();
  const result = await exchange({ server, transport, qname, qtype, edns, timeout, signal });
  const said = interpret(result, { qname, qtype });
  const message = result.kind === "message" ? result.message : undefined;
  trace({
    step: "query",
    server: hostPort(server.address, server.port),
    transport,
    qname,
    qtype,
    elapsedMs: performance.now() - started,
    result: said.kind === "failed" ? said.reason : said.kind === "truncated" ? "truncated" : (message?.rcode ?? ""),
    flags: (["aa", "tc", "ra"] as const).filter((flag) => message?.[flag]),
    records: message?.answers.map(presentRecord) ?? [],
    additionals: message?.additionals.map(presentRecord) ?? [],
  });
  return { said, size: result.kind === "message" ? result.size : 0 };
}

function interpret(result: ExchangeResult, query: Query): Said {
  if (result.kind === "failed") return result;
  const answer = readAnswer(result.message, query);
  return answer.kind === "failed" ? { kind: "failed", reason: answer.rcode } : answer;
}

/** Ends early, and without an error, when the signal is aborted. */
export async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
