import type { Logger } from "../daemon/logger.js";
import { describeError, ListenError, ProtocolError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import type { QueryPeer, Respond } from "./query-peer.js";
import { startTcpResponder } from "./responder-tcp.js";
import { startUdpResponder } from "./responder-udp.js";
import { isResponse } from "./wire/layout.js";
import { formatErrorFor, MAX_TCP_SIZE, MIN_UDP_PAYLOAD, truncateResponse, udpSizeOf } from "./wire/reply.js";

/** The response to the bytes of a query, whole: it is truncated here. Undefined: none is given. */
export type AnswerQuery = (query: Buffer, peer: QueryPeer) => Promise<Buffer | undefined> | Buffer | undefined;

export interface ResponderOptions {
  readonly address: string;
  /** 0: any port that is free for UDP and TCP. */
  readonly port: number;
  /** May throw ProtocolError: the sender is told FORMERR. */
  readonly answer: AnswerQuery;
  readonly log: Logger;
  /** The longest response over UDP, octets, where the query allows it; default 1232. */
  readonly maxUdpSize?: number;
  /** How long a TCP connection may be silent, milliseconds; default 10 s. */
  readonly idleTimeout?: number;
  /** TCP connections at once; default 64. */
  readonly maxConnections?: number;
}

export interface Responder {
  readonly address: string;
  /** The same for UDP and TCP. */
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Queries that are being answered at once; more are dropped, and their senders ask again. */
const MAX_PENDING = 1_024;
/** RFC 7766 section 6.2.3 speaks of "a few seconds". */
const IDLE_TIMEOUT = 10_000;
const MAX_CONNECTIONS = 64;
/** Free UDP ports that are tried until one is free for TCP too. */
const PORT_TRIES = 20;

/**
 * Answers DNS queries over UDP and TCP on one address.
 * @throws ListenError LISTEN_IN_USE or LISTEN_FAILED
 */
export async function startResponder(options: ResponderOptions): Promise<Responder> {
  const { address, port, log, idleTimeout = IDLE_TIMEOUT, maxConnections = MAX_CONNECTIONS } = options;
  const respond = createRespond(options);
  for (let tries = 1; ; tries++) {
    const udp = await startUdpResponder({ address, port }, respond, log).catch(listenError(address, port, "udp"));
    try {
      const tcp = await startTcpResponder({ address, port: udp.port, idleTimeout, maxConnections, log }, respond);
      return {
        address,
        port: udp.port,
        close: async () => {
          await Promise.all([udp.close(), tcp.close()]);
        },
      };
    } catch (error) {
      await udp.close();
      // With port 0 the system chose the UDP port without looking at TCP.
      const again = port === 0 && tries < PORT_TRIES && (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!again) return listenError(address, udp.port, "tcp")(error);
    }
  }
}

/** Bytes in, bytes out, whatever comes: it never rejects. */
function createRespond({ answer, maxUdpSize, log }: ResponderOptions): Respond {
  const fits = (response: Buffer, query: Buffer, { transport }: QueryPeer) =>
    response.length <= MIN_UDP_PAYLOAD ||
    response.length <= (transport === "tcp" ? MAX_TCP_SIZE : udpSizeOf(query, maxUdpSize));
  let pending = 0;
  return async (query, peer) => {
    if (pending >= MAX_PENDING || isResponse(query)) return undefined;
    pending += 1;
    try {
      const response = await answer(query, peer);
      if (response === undefined) return undefined;
      return fits(response, query, peer) ? response : truncateResponse(response);
    } catch (err) {
      if (err instanceof ProtocolError) log.debug({ peer: peer.address, err }, "DNS query is malformed");
      else log.error({ peer: peer.address, err }, "DNS query could not be answered");
      return formatErrorFor(query);
    } finally {
      pending -= 1;
    }
  };
}

function listenError(address: string, port: number, transport: string): (error: unknown) => never {
  return (error) => {
    const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    const where = `${hostPort(address, port)}/${transport}`;
    throw new ListenError(
      inUse ? "LISTEN_IN_USE" : "LISTEN_FAILED",
      inUse ? `${where} is in use by another program` : `cannot listen on ${where}: ${describeError(error)}`,
      { cause: error },
    );
  };
}
