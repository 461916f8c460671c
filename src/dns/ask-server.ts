import { setTimeout as sleep } from "node:timers/promises";
import { hostPort } from "../net/ip.js";
import type { Trace } from "../resolve/core/resolution.js";
import { exchange, type Failed, type NameServer, type Transport } from "./exchange.js";
import type { NameServers } from "./name-servers.js";
import type { UdpSockets } from "./udp-sockets.js";
import { type Answer, presentRecord, type Settled } from "./wire/answer.js";
import { type Message, UDP_PAYLOAD_SIZE } from "./wire/message.js";
import type { QueryType } from "./wire/record.js";

export interface Query {
  readonly qname: string;
  readonly qtype: QueryType;
}

export interface Try {
  /** Milliseconds for one exchange. */
  readonly timeout: number;
  /** Over TCP from the start: `use-vc` of resolv.conf. */
  readonly useTcp: boolean;
  /** When a server that is silent over UDP is asked over TCP too, milliseconds; undefined: not in this try. */
  readonly tcpAfter: number | undefined;
}

export interface TryResult {
  readonly answer: Settled;
  /** The answer over UDP lacks records, and the whole answer cannot be had. */
  readonly isPartial: boolean;
}

/** Why a try gave no answer: a response code, or a reason of `exchange`. */
export type TryFailure = Pick<Failed, "reason" | "detail">;

interface ExchangeContext {
  readonly sockets: UdpSockets;
  readonly signal: AbortSignal;
  readonly trace: Trace;
}

export interface TryContext extends ExchangeContext {
  readonly nameServers: NameServers;
  /** Milliseconds. */
  readonly now: () => number;
  /** On the clock of `now`; read again before every exchange, because it may move. */
  readonly deadline: () => number;
}

/** The server has asked for TCP, so that a connection may last longer than the try's time-out. Milliseconds. */
const TCP_TIMEOUT = 1_000;
/**
 * Consul leaves out what does not fit into a datagram and sets no TC unless dns_config.enable_truncate is on. An answer
 * that comes this close to the size that we allow may lack something: room for an SRV record and its addresses. Octets.
 */
const CROWDED_MARGIN = 256;
/** RFC 6891 section 7: codes of a server that does not know EDNS, or knows another version. */
const NO_EDNS = ["FORMERR", "NOTIMP", "BADVERS"];
const TRUNCATED = { reason: "truncated over TCP" };

/** One try of one server: an exchange, and further ones without EDNS(0) or over TCP when the answer needs them. */
export async function askServer(
  query: Query,
  server: NameServer,
  how: Try,
  context: TryContext,
): Promise<TryResult | TryFailure> {
  const limited = (timeout: number) => Math.max(1, Math.min(timeout, context.deadline() - context.now()));
  let edns = true;
  let exchanged = await firstExchange(query, server, { ...how, timeout: limited(how.timeout) }, context);
  if (exchanged.answer.kind === "failed" && NO_EDNS.includes(exchanged.answer.reason)) {
    edns = false;
    const { transport } = exchanged;
    const asking = because("the server may not know EDNS(0): without it", context);
    exchanged = await tracedExchange(query, { server, transport, edns, timeout: limited(how.timeout) }, asking);
  }
  const { answer, size, transport } = exchanged;
  if (answer.kind === "failed") return answer;
  const crowded = answer.kind === "records" && size > UDP_PAYLOAD_SIZE - CROWDED_MARGIN;
  if (answer.kind !== "truncated" && !crowded) return { answer, isPartial: false };
  if (transport === "tcp") return answer.kind === "truncated" ? TRUNCATED : { answer, isPartial: false };
  // RFC 7766 section 5: TC means the same question over TCP, to the same server.
  const why = crowded ? `${size} octets: the answer may lack records (no TC)` : "the answer was truncated (TC)";
  // Part of the time is left to give the partial answer.
  const timeout = Math.min(limited(TCP_TIMEOUT), 0.8 * limited(Number.POSITIVE_INFINITY));
  const overTcp = { server, transport: "tcp", edns, timeout } as const;
  const whole = (await tracedExchange(query, overTcp, because(why, context))).answer;
  // An answer near the size limit (`crowded`) may be complete: it is used when TCP gives no records.
  if (answer.kind !== "truncated") return { answer: whole.kind === "records" ? whole : answer, isPartial: false };
  if (whole.kind !== "failed" && whole.kind !== "truncated") return { answer: whole, isPartial: false };
  const partial = answer.partial ?? (whole.kind === "truncated" ? whole.partial : undefined);
  if (partial) return { answer: partial, isPartial: true };
  return whole.kind === "failed" ? whole : TRUNCATED;
}

async function firstExchange(
  query: Query,
  server: NameServer,
  { timeout, useTcp, tcpAfter }: Try,
  context: TryContext,
): Promise<Exchanged> {
  const { nameServers, now } = context;
  const how = { server, edns: true, timeout };
  if (useTcp) return tracedExchange(query, { transport: "tcp", ...how }, context);
  if (nameServers.dropsUdp(server, now())) {
    const asking = because("over UDP the server was silent a moment ago", context);
    const exchanged = await tracedExchange(query, { transport: "tcp", ...how }, asking);
    if (!exchanged.isThere) nameServers.foundUdp(server);
    return exchanged;
  }
  if (tcpAfter === undefined) return tracedExchange(query, { transport: "udp", ...how }, context);
  const exchanged = await exchangeOverBoth(query, { ...how, tcpAfter }, context);
  if (exchanged.isThere && exchanged.transport === "tcp") nameServers.lostUdp(server, now());
  return exchanged;
}

interface How {
  readonly server: NameServer;
  readonly transport: Transport;
  readonly edns: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

/** The result of one exchange. */
interface Exchanged {
  readonly answer: Exclude<Answer, { kind: "failed" }> | Failed;
  readonly transport: Transport;
  /** Octets of the message. */
  readonly size: number;
  /** A message came from the server, whatever it says. */
  readonly isThere: boolean;
}

/** One exchange with one server, traced. Never rejects. */
async function tracedExchange(query: Query, how: How, { signal, sockets, trace }: ExchangeContext): Promise<Exchanged> {
  const started = performance.now();
  const result = await exchange({ sockets, signal, ...how, ...query });
  const message = result.kind === "message" ? result.message : undefined;
  const answer = result.kind === "failed" ? result : result.answer;
  const exchanged = {
    answer,
    transport: how.transport,
    size: result.kind === "message" ? result.size : 0,
    isThere: !!message,
  };
  // It was given up: there is another answer, or no time is left.
  if (answer.kind === "failed" && answer.reason === "aborted") return exchanged;
  trace({
    step: "query",
    server: hostPort(how.server.address, how.server.port),
    transport: how.transport,
    ...query,
    elapsedMs: performance.now() - started,
    result:
      answer.kind === "failed" ? inTrace(answer) : answer.kind === "truncated" ? "truncated" : (message?.rcode ?? ""),
    flags: (["aa", "tc", "ra"] as const).filter((flag) => message?.[flag]),
    records: message?.answers.map(presentRecord) ?? [],
    additionals: message ? [...message.additionals.map(presentRecord), ...leftOut(message)] : [],
  });
  return exchanged;
}

function leftOut({ leftOut: count }: Message): string[] {
  return count === 0 ? [] : [`and ${count} more, which are not read: too many`];
}

function inTrace({ reason, detail }: Failed): string {
  return detail === undefined ? reason : `${reason}: ${detail}`;
}

/**
 * One question over UDP and, after a while, over TCP too: datagrams may be dropped where connections are not. The first
 * message counts, whatever it says; without any it is the result over UDP.
 */
async function exchangeOverBoth(
  query: Query,
  { tcpAfter, ...how }: Omit<How, "transport"> & { readonly tcpAfter: number },
  context: ExchangeContext,
): Promise<Exchanged> {
  const ending = new AbortController();
  const end = () => ending.abort();
  context.signal.addEventListener("abort", end, { once: true });
  const endable = { ...context, signal: ending.signal };
  const udp = tracedExchange(query, { transport: "udp", ...how }, endable);
  const tcp = Promise.race([udp, pauseFor(tcpAfter, ending.signal)]).then(() => {
    // TCP ends before UDP, whose end is the end of the try.
    const rest = Math.max(1, 0.95 * (how.timeout - tcpAfter));
    const asking = because("nothing came over UDP: over TCP, too", endable);
    return tracedExchange(query, { transport: "tcp", ...how, timeout: rest }, asking);
  });
  const first = await new Promise<Exchanged | undefined>((resolve) => {
    let open = 2;
    for (const one of [udp, tcp]) {
      void one.then((exchanged) => {
        open -= 1;
        if (exchanged.isThere) resolve(exchanged);
        else if (open === 0 || isEndOfTry(exchanged)) resolve(undefined);
      });
    }
  });
  end();
  context.signal.removeEventListener("abort", end);
  return first ?? udp;
}

function isEndOfTry({ transport, answer }: Exchanged): boolean {
  return transport === "udp" && answer.kind === "failed" && answer.reason === "timeout";
}

/** A query that follows another one says why in the trace. */
export function because<T extends { readonly trace: Trace }>(why: string, context: T): T {
  return { ...context, trace: (event) => context.trace(event.step === "query" ? { because: why, ...event } : event) };
}

/** Ends early, and without an error, when the signal is aborted. */
export async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
