import { setTimeout as sleep } from "node:timers/promises";
import { hostPort } from "../net/ip.js";
import type { Trace } from "../resolve/core/resolution.js";
import { exchange, type Failed, type NameServer, type Transport } from "./exchange.js";
import { type Answer, readAnswer } from "./wire/answer.js";
import type { Message } from "./wire/message.js";
import { presentRecord, type QueryType } from "./wire/record.js";

export interface Query {
  readonly qname: string;
  readonly qtype: QueryType;
}

export interface How {
  readonly server: NameServer;
  readonly transport: Transport;
  readonly edns: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface TellContext {
  readonly signal: AbortSignal;
  readonly trace: Trace;
}

/** What came of one exchange. */
export interface Spoken {
  readonly said: Exclude<Answer, { kind: "failed" }> | Failed;
  readonly transport: Transport;
  /** Octets of the message. */
  readonly size: number;
  /** Whatever it said, the server was there. */
  readonly isThere: boolean;
}

/** One exchange with one server, read and traced. Never rejects. */
export async function tell(query: Query, how: How, { signal, trace }: TellContext): Promise<Spoken> {
  const started = performance.now();
  const result = await exchange({ ...how, ...query, signal });
  const message = result.kind === "message" ? result.message : undefined;
  const said = result.kind === "failed" ? result : readAnswer(result.message, query);
  const spoken = {
    said,
    transport: how.transport,
    size: result.kind === "message" ? result.size : 0,
    isThere: !!message,
  };
  // Whoever gave it up has another answer, or no time.
  if (said.kind === "failed" && said.reason === "aborted") return spoken;
  trace({
    step: "query",
    server: hostPort(how.server.address, how.server.port),
    transport: how.transport,
    ...query,
    elapsedMs: performance.now() - started,
    result: said.kind === "failed" ? inTrace(said) : said.kind === "truncated" ? "truncated" : (message?.rcode ?? ""),
    flags: (["aa", "tc", "ra"] as const).filter((flag) => message?.[flag]),
    records: message?.answers.map(presentRecord) ?? [],
    additionals: message ? [...message.additionals.map(presentRecord), ...leftOut(message)] : [],
  });
  return spoken;
}

function leftOut({ leftOut: count }: Message): string[] {
  return count === 0 ? [] : [`and ${count} more, which are not read: too many`];
}

function inTrace({ reason, detail }: Failed): string {
  return detail === undefined ? reason : `${reason}: ${detail}`;
}

/**
 * One question over UDP and, after a while, over TCP too: datagrams may be dropped where connections are not. The first
 * answer counts, whatever it says; when there is none, what UDP came to.
 */
export async function tellBoth(
  query: Query,
  { tcpAfter, ...how }: Omit<How, "transport"> & { readonly tcpAfter: number },
  context: TellContext,
): Promise<Spoken> {
  const ending = new AbortController();
  const end = () => ending.abort();
  context.signal.addEventListener("abort", end, { once: true });
  const listening = { ...context, signal: ending.signal };
  const udp = tell(query, { ...how, transport: "udp" }, listening);
  const tcp = Promise.race([udp, pauseFor(tcpAfter, ending.signal)]).then(() => {
    // It ends before UDP does, with which the whole try is over.
    const rest = Math.max(1, 0.95 * (how.timeout - tcpAfter));
    const asking = because("nothing came over UDP: over TCP, too", listening);
    return tell(query, { ...how, transport: "tcp", timeout: rest }, asking);
  });
  const first = await new Promise<Spoken | undefined>((resolve) => {
    let open = 2;
    for (const one of [udp, tcp]) {
      void one.then((spoken) => {
        open -= 1;
        if (spoken.isThere) resolve(spoken);
        else if (open === 0 || isOver(spoken)) resolve(undefined);
      });
    }
  });
  end();
  context.signal.removeEventListener("abort", end);
  return first ?? udp;
}

function isOver({ transport, said }: Spoken): boolean {
  return transport === "udp" && said.kind === "failed" && said.reason === "timeout";
}

/** Queries that follow another one say why in the trace. */
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
