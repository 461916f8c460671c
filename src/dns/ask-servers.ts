import { hostPort } from "../net/ip.js";
import { askServer, because, pauseFor, type Query, type TryContext, type TryResult } from "./ask-server.js";
import type { DnsFailure } from "./core/result.js";
import { type ExchangeSlots, slotHolder } from "./exchange-slots.js";
import type { Tally } from "./tally.js";
import type { Settled } from "./wire/answer.js";

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
      const result = await askServer(query, server, { timeout: limit, useTcp, tcpAfter }, asking).finally(() =>
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

function unavailable({ cause, code }: Tally, endedBy: number | undefined): AskResult {
  return { kind: "unavailable", cause, code, endedBy };
}
