import type { NameServer } from "./exchange.js";
import type { NameServers } from "./name-servers.js";
import type { Tally } from "./tally.js";
import { because, type Query, type Spoken, type TellContext, tell, tellBoth } from "./tell.js";
import type { Settled } from "./wire/answer.js";
import { UDP_PAYLOAD_SIZE } from "./wire/message.js";

/** Connections over TCP are not bound to the try's time-out: they were asked for by the server. */
const TCP_TIMEOUT = 1_000;
/**
 * Consul leaves out what does not fit into a datagram and sets no TC unless dns_config.enable_truncate is on. An answer
 * that comes this close to the size that we allow may lack something: room for an SRV record and its addresses. Octets.
 */
const CROWDED_MARGIN = 256;
/** RFC 6891 section 7: what a server that knows no EDNS says, or one that knows another version. */
const NO_EDNS = ["FORMERR", "NOTIMP", "BADVERS"];

export interface TryContext extends TellContext {
  readonly nameServers: NameServers;
  /** Milliseconds. */
  readonly now: () => number;
  /** On the clock of `now`; read again before every step, because it may move while we ask. */
  readonly deadline: () => number;
  /** Takes note of failures as they happen, for who cannot wait for the end. */
  readonly tally: Tally;
}

export interface Try {
  /** Milliseconds for one exchange. */
  readonly timeout: number;
  /** Over TCP from the start: `use-vc` of resolv.conf. */
  readonly useTcp: boolean;
  /** When a server that is silent over UDP is asked over TCP too, milliseconds; undefined: not in this try. */
  readonly tcpAfter: number | undefined;
}

export interface Told {
  readonly answer: Settled;
  /** What came over UDP is not all, and the rest cannot be had. */
  readonly isPartial: boolean;
}

/** One try of one server, with what makes the same server be asked once more. Undefined: no answer, and the tally knows why. */
export async function askServer(
  query: Query,
  server: NameServer,
  how: Try,
  context: TryContext,
): Promise<Told | undefined> {
  const { nameServers, now, tally } = context;
  tally.asking(server);
  const told = await tellWhole(query, server, how, context);
  if ("answer" in told) {
    nameServers.answered(server);
    tally.answered();
    return told;
  }
  // The end of our own time says nothing about the server.
  if (told.reason !== "aborted") nameServers.failed(server, now());
  tally.failed(server, told);
  return undefined;
}

async function tellWhole(
  query: Query,
  server: NameServer,
  how: Try,
  context: TryContext,
): Promise<Told | { readonly reason: string; readonly detail?: string | undefined }> {
  const limited = (patience: number) => Math.max(1, Math.min(patience, context.deadline() - context.now()));
  let edns = true;
  let spoken = await tellFirst(query, server, { ...how, timeout: limited(how.timeout) }, context);
  if (spoken.said.kind === "failed" && NO_EDNS.includes(spoken.said.reason)) {
    edns = false;
    const { transport } = spoken;
    const asking = because("the server may not know EDNS(0): without it", context);
    spoken = await tell(query, { server, transport, edns, timeout: limited(how.timeout) }, asking);
  }
  const { said, size, transport } = spoken;
  if (said.kind === "failed") return said;
  const crowded = said.kind === "records" && size > UDP_PAYLOAD_SIZE - CROWDED_MARGIN;
  if (said.kind !== "truncated" && !crowded) return { answer: said, isPartial: false };
  if (transport === "tcp") return said.kind === "truncated" ? TRUNCATED : { answer: said, isPartial: false };
  // RFC 7766 section 5: TC means the same question over TCP, to the same server.
  const why = crowded ? `${size} octets: the answer may lack records (no TC)` : "the answer was truncated (TC)";
  // Part of the time is left to give what there is.
  const timeout = Math.min(limited(TCP_TIMEOUT), 0.8 * limited(Number.POSITIVE_INFINITY));
  const overTcp = { server, transport: "tcp", edns, timeout } as const;
  const whole = (await tell(query, overTcp, because(why, context))).said;
  // A crowded answer is an answer: it stands when the server does not speak TCP.
  if (said.kind !== "truncated") return { answer: whole.kind === "records" ? whole : said, isPartial: false };
  if (whole.kind !== "failed" && whole.kind !== "truncated") return { answer: whole, isPartial: false };
  const partial = said.partial ?? (whole.kind === "truncated" ? whole.partial : undefined);
  if (partial) return { answer: partial, isPartial: true };
  return whole.kind === "failed" ? whole : TRUNCATED;
}

const TRUNCATED = { reason: "truncated over TCP" };

/** The first exchange of a try. */
async function tellFirst(query: Query, server: NameServer, how: Try, context: TryContext): Promise<Spoken> {
  const { nameServers, now } = context;
  const { timeout, useTcp, tcpAfter } = how;
  const exchange = { server, edns: true, timeout };
  if (useTcp) return tell(query, { ...exchange, transport: "tcp" }, context);
  if (nameServers.dropsUdp(server, now())) {
    const asking = because("over UDP the server was silent a moment ago", context);
    const spoken = await tell(query, { ...exchange, transport: "tcp" }, asking);
    if (!spoken.isThere) nameServers.foundUdp(server);
    return spoken;
  }
  if (tcpAfter === undefined) return tell(query, { ...exchange, transport: "udp" }, context);
  const spoken = await tellBoth(query, { ...exchange, tcpAfter }, context);
  if (spoken.isThere && spoken.transport === "tcp") nameServers.lostUdp(server, now());
  return spoken;
}
