import { setMaxListeners } from "node:events";
import type { Logger } from "../daemon/logger.js";
import {
  ExchangeSlots,
  exchangeBytes,
  exchangeLimit,
  type NameServer,
  randomId,
  slotHolder,
  type Transport,
} from "../dns/exchange.js";
import type { NameServers } from "../dns/name-servers.js";
import { UdpSockets } from "../dns/udp-sockets.js";
import { answersQuery } from "../dns/wire/answer.js";
import { openFileLimit } from "../os/machine.js";
import { isRefusal, withId } from "./core/message.js";

interface ForwarderOptions {
  readonly nameServers: NameServers;
  readonly log: Logger;
  /** After this time a question is given up, milliseconds; default 4.5 s. */
  readonly limit?: number | undefined;
  /** Questions at once; further ones get SERVFAIL at once. Default 512. */
  readonly maxForwards?: number | undefined;
}

interface Forwarder {
  /**
   * The response of another name server, unchanged but for its id, which is that of the query. Undefined: no server
   * answered, or too many questions wait. Never rejects.
   * @param qname chooses the server
   */
  readonly forward: (query: Buffer, qname: string, transport: Transport) => Promise<Buffer | undefined>;
  readonly close: () => void;
}

/** Milliseconds: a SERVFAIL must come before the client's resolver gives up, after 5 s (RES_TIMEOUT). */
const LIMIT = 4_500;
/** Half of the responder's places: while name servers are silent, the gateway's own hosts are still answered. */
const MAX_FORWARDS = 512;
/** How long one server may be silent before the next is asked, milliseconds: less with many servers. */
const LONGEST_PATIENCE = 1_500;
const SHORTEST_PATIENCE = 300;
/** How often each server is asked over UDP: datagrams get lost. */
const UDP_ROUNDS = 3;

/** Forwards questions to other name servers. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { nameServers, log, limit = LIMIT, maxForwards = MAX_FORWARDS } = options;
  const slots = new ExchangeSlots(exchangeLimit(openFileLimit()));
  const sockets = new UdpSockets();
  const closing = new AbortController();
  // Each question adds a listener: Node must not warn of a leak.
  setMaxListeners(0, closing.signal);
  const underWay = new Map<string, Promise<Buffer | undefined>>();
  let waiting = 0;
  let toldNone = false;
  let toldFull = false;

  async function forward(query: Buffer, qname: string, transport: Transport): Promise<Buffer | undefined> {
    const started = performance.now();
    const left = () => limit - (performance.now() - started);
    const { servers, useTcp } = await nameServers.serversFor(qname, started);
    if (servers.length === 0) {
      if (!toldNone) log.warn(NO_SERVER);
      toldNone = true;
      return undefined;
    }
    toldNone = false;
    const exchange = async (server: NameServer, over: Transport, signal: AbortSignal) => {
      const holder = slotHolder(server, qname);
      if (!(await slots.take(holder, () => (signal.aborted ? 0 : left()), signal))) return undefined;
      try {
        // RFC 5452: with the client's own id and port, another program could answer in the server's place.
        const mine = withId(query, await randomId());
        // The signal ends it earlier, together with the whole question.
        const request = { server, transport: over, sockets, timeout: limit, signal };
        const result = await exchangeBytes(request, mine, (bytes) => (answersQuery(bytes, mine) ? bytes : undefined));
        if (result.kind === "answered") {
          nameServers.answered(server);
          return { response: result.answer, isRefusal: isRefusal(result.answer) };
        }
        if (result.reason !== "aborted") nameServers.failed(server, performance.now());
        return undefined;
      } finally {
        slots.give(holder);
      }
    };
    const mayUseUdp = transport === "udp" && !useTcp;
    const tries = new Map<NameServer, number>();
    const ask = async (server: NameServer, signal: AbortSignal) => {
      const tried = tries.get(server) ?? 0;
      tries.set(server, tried + 1);
      if (!mayUseUdp) return exchange(server, "tcp", signal);
      // Some networks drop datagrams only: every second try of a silent server goes over TCP.
      const isTurnOfTcp = tried % 2 === (nameServers.dropsUdp(server, performance.now()) ? 0 : 1);
      if (isTurnOfTcp) {
        const reply = await exchange(server, "tcp", signal);
        if (reply && tried > 0) nameServers.lostUdp(server, performance.now());
        if (reply) return reply;
      }
      const reply = await exchange(server, "udp", signal);
      if (reply) nameServers.foundUdp(server);
      return reply;
    };
    return askServersInTurn(servers, {
      ask,
      patience: Math.min(LONGEST_PATIENCE, Math.max(SHORTEST_PATIENCE, limit / (servers.length * 2))),
      limit: left(),
      // TCP repeats what is lost.
      rounds: mayUseUdp ? UDP_ROUNDS : 1,
      onSilent: (server) => nameServers.failed(server, performance.now()),
      signal: closing.signal,
    });
  }

  async function begin(key: string, ...question: Parameters<Forwarder["forward"]>): Promise<Buffer | undefined> {
    try {
      return await forward(...question);
    } catch (err) {
      log.error({ qname: question[1], err }, "DNS question could not be forwarded");
      return undefined;
    } finally {
      underWay.delete(key);
    }
  }

  return {
    async forward(query, qname, transport) {
      // Each question has a place of the responder while it waits, also when it shares an answer.
      if (waiting >= maxForwards) {
        if (!toldFull) log.warn({ questions: waiting }, TOO_MANY);
        toldFull = true;
        return undefined;
      }
      // Equal questions at the same time share one answer. So a question that a loop brings back waits for itself here.
      const key = `${transport} ${query.toString("latin1", ID_LENGTH)}`;
      let answer = underWay.get(key);
      if (!answer) {
        answer = begin(key, query, qname, transport);
        underWay.set(key, answer);
      }
      waiting += 1;
      try {
        const response = await answer;
        return response && withId(response, query.readUInt16BE(0));
      } finally {
        waiting -= 1;
        if (waiting === 0) toldFull = false;
      }
    },
    close: () => {
      closing.abort();
      sockets.close();
    },
  };
}

/** Octets at the start of a message. */
const ID_LENGTH = 2;
const TOO_MANY = "DNS questions get SERVFAIL: too many wait for other name servers";
const NO_SERVER =
  "no name server for questions that are not the gateway's: resolv.conf has none but this one; give one with --gateway-forward";

/** The response to one try. */
export interface Reply {
  readonly response: Buffer;
  /** SERVFAIL, REFUSED or a lame server: another server may have the answer. */
  readonly isRefusal: boolean;
}

export interface InTurnOptions {
  /** One try. Undefined: no response. Never rejects; ends when the signal is aborted. */
  readonly ask: (server: NameServer, signal: AbortSignal) => Promise<Reply | undefined>;
  /** After this silence the next server is asked, milliseconds. */
  readonly patience: number;
  /** For all servers together, milliseconds. */
  readonly limit: number;
  /** How often each server is asked while it is silent. */
  readonly rounds: number;
  readonly onSilent: (server: NameServer) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks one server after the other. A late answer of a silent server counts while the next ones are asked.
 * @returns the first answer, else the last refusal, else undefined
 */
export function askServersInTurn(servers: readonly NameServer[], options: InTurnOptions): Promise<Buffer | undefined> {
  const { ask, patience, limit, rounds, onSilent, signal } = options;
  return new Promise((resolve) => {
    const ending = new AbortController();
    const settled = new Set<NameServer>();
    let turns = 0;
    let underWay = 0;
    let refusal: Buffer | undefined;
    let waiting: NodeJS.Timeout | undefined;
    const finish = (response: Buffer | undefined) => {
      clearTimeout(waiting);
      clearTimeout(end);
      signal.removeEventListener("abort", giveUp);
      ending.abort();
      resolve(response);
    };
    const giveUp = () => finish(refusal);
    const end = setTimeout(giveUp, limit);
    signal.addEventListener("abort", giveUp, { once: true });

    const next = (): NameServer | undefined => {
      while (turns < servers.length * rounds) {
        const server = servers[turns++ % servers.length];
        if (server && !settled.has(server)) return server;
      }
      return undefined;
    };
    const proceed = () => {
      clearTimeout(waiting);
      if (ending.signal.aborted) return;
      const server = next();
      if (server) void tryOne(server);
      else if (underWay === 0) finish(refusal);
    };
    const tryOne = async (server: NameServer) => {
      const turn = turns;
      underWay += 1;
      waiting = setTimeout(() => {
        onSilent(server);
        proceed();
      }, patience);
      const reply = await ask(server, ending.signal);
      underWay -= 1;
      if (reply && !reply.isRefusal) return finish(reply.response);
      refusal = reply?.response ?? refusal;
      settled.add(server);
      // A late refusal must not cut the current try short.
      if (turn === turns || underWay === 0) proceed();
    };
    if (signal.aborted) giveUp();
    else proceed();
  });
}
