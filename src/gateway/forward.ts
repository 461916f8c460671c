import { setMaxListeners } from "node:events";
import type { Logger } from "../daemon/logger.js";
import { exchangeBytes, type NameServer, randomId, type Transport } from "../dns/exchange.js";
import { ExchangeSlots, exchangeLimit, slotHolder } from "../dns/exchange-slots.js";
import type { NameServers } from "../dns/name-servers.js";
import { answersQuery } from "../dns/wire/answer.js";
import { openFileLimit } from "../os/machine.js";
import { isRefusal, withId } from "./core/forwarded.js";
import { askInTurn } from "./in-turn.js";

export interface ForwarderOptions {
  readonly nameServers: NameServers;
  readonly log: Logger;
  /** Milliseconds in which a question is answered or given up; default 4.5 s. */
  readonly limit?: number | undefined;
  /** Questions under way at once; more are SERVFAIL at once. Default 512. */
  readonly maxForwards?: number | undefined;
}

export interface Forwarder {
  /**
   * The response of another name server, octet by octet but for the id, which is the query's. Undefined: nobody
   * answered, or too many ask. Never rejects.
   * @param qname for choosing the server
   */
  readonly forward: (query: Buffer, qname: string, transport: Transport) => Promise<Buffer | undefined>;
  readonly close: () => void;
}

/** Resolvers give up after 5 s (RES_TIMEOUT), and are to hear why before that. Milliseconds. */
const LIMIT = 4_500;
/** Half of what the responder has room for: silent name servers must not keep the gateway's own hosts from being answered. */
const MAX_FORWARDS = 512;
/** Between the first and the next server, milliseconds: less when many servers share the time. */
const LONGEST_PATIENCE = 1_500;
const SHORTEST_PATIENCE = 300;
/** Datagrams get lost. */
const UDP_ROUNDS = 3;

/** Passes questions on to other name servers. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { nameServers, log, limit = LIMIT, maxForwards = MAX_FORWARDS } = options;
  const slots = new ExchangeSlots(exchangeLimit(openFileLimit()));
  const closing = new AbortController();
  // Every question on its way listens: their number is no leak.
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
        // Another id and port: who knows those of the asker could answer in place of the server (RFC 5452).
        const mine = withId(query, await randomId());
        const request = { server, transport: over, timeout: Math.max(1, left()), signal };
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
      // Datagrams may be dropped where connections are not: every second try of a server that is silent goes over TCP.
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
    return askInTurn(servers, {
      ask,
      patience: Math.min(LONGEST_PATIENCE, Math.max(SHORTEST_PATIENCE, limit / (servers.length * 2))),
      limit: left(),
      // A connection does not lose anything.
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
      // Each holds a place of the responder while it waits, whether it shares its answer or not.
      if (waiting >= maxForwards) {
        if (!toldFull) log.warn({ questions: waiting }, TOO_MANY);
        toldFull = true;
        return undefined;
      }
      // Who asks the same at the same time shares the answer. A question that a loop brings back ends here, too.
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
    close: () => closing.abort(),
  };
}

/** Octets at the start of a message. */
const ID_LENGTH = 2;
const TOO_MANY = "DNS questions are answered SERVFAIL: too many wait for other name servers";
const NO_SERVER =
  "no name server for questions that are not the gateway's: resolv.conf names only ourselves; give one with --gateway-forward";
