import dgram from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { ProtocolError } from "../errors.js";
import { canonicalIp, familyOfLiteral, hostPort, isLoopback } from "../net/ip.js";
import { OpenSockets } from "../os/open-sockets.js";
import { listenError, Places, takePlaces } from "../os/sockets.js";
import { formatErrorFor, framed, MAX_TCP_SIZE, MIN_UDP_PAYLOAD, truncateResponse, udpSizeOf } from "./wire/message.js";
import { isResponse } from "./wire/record.js";

/** The client of a query. */
export interface QueryPeer {
  readonly transport: "udp" | "tcp";
  /** Canonical IP literal. */
  readonly address: string;
  readonly port: number;
}

/** Bytes in, bytes out, fit for the transport; undefined: no response. Never rejects. */
type Respond = (query: Buffer, peer: QueryPeer) => Promise<Buffer | undefined>;

/** The whole response to the bytes of a query; the responder truncates it. Undefined: no response. */
export type AnswerQuery = (query: Buffer, peer: QueryPeer) => Promise<Buffer | undefined> | Buffer | undefined;

export interface ResponderOptions {
  readonly address: string;
  /** 0: any port that is free for UDP and TCP. */
  readonly port: number;
  /** When it throws a ProtocolError, the response is FORMERR. */
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

/** Queries answered at once; more are dropped, and their senders ask again. */
const MAX_PENDING = 1_024;
/** RFC 7766 section 6.2.3: a few seconds. Milliseconds. */
const IDLE_TIMEOUT = 10_000;
const MAX_CONNECTIONS = 64;
/** How many free UDP ports are tried until one is free for TCP too. */
const PORT_TRIES = 20;

/**
 * Answers DNS queries over UDP and TCP on one address.
 * @throws ListenError LISTEN_IN_USE or LISTEN_FAILED
 */
export async function startResponder(options: ResponderOptions): Promise<Responder> {
  const { address, port, log, idleTimeout = IDLE_TIMEOUT, maxConnections = MAX_CONNECTIONS } = options;
  const respond = createRespond(options);
  for (let tries = 1; ; tries++) {
    const udp = await startUdp({ address, port }, respond, log).catch(failAs({ address, port }, "udp"));
    try {
      const tcp = await startTcp({ address, port: udp.port, idleTimeout, maxConnections, log }, respond);
      return {
        address,
        port: udp.port,
        close: async () => {
          await Promise.all([udp.close(), tcp.close()]);
        },
      };
    } catch (error) {
      await udp.close();
      // With port 0 the system chose a free UDP port, which may not be free for TCP.
      const again = port === 0 && tries < PORT_TRIES && (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!again) throw listenError({ address, port: udp.port }, error, "tcp");
    }
  }
}

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
      if (err instanceof ProtocolError)
        log.debug({ peer: hostPort(peer.address, peer.port), err }, "DNS query is malformed");
      else log.error({ peer: hostPort(peer.address, peer.port), err }, "DNS query could not be answered");
      return formatErrorFor(query);
    } finally {
      pending -= 1;
    }
  };
}

function failAs(at: IpPort, transport: "udp" | "tcp"): (error: unknown) => never {
  return (error) => {
    throw listenError(at, error, transport);
  };
}

interface TcpOptions {
  readonly address: string;
  readonly port: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
  readonly maxConnections: number;
  readonly log: Logger;
}

/** One of the two transports, listening. */
interface BoundSocket {
  readonly port: number;
  readonly close: () => Promise<void>;
}

function peerOf(transport: QueryPeer["transport"], from: IpPort): QueryPeer {
  return { transport, address: canonicalIp(from.address) ?? from.address, port: from.port };
}

/** @throws the system's error when the port cannot be bound */
async function startUdp(at: IpPort, respond: Respond, log: Logger): Promise<BoundSocket> {
  const socket = dgram.createSocket(`udp${familyOfLiteral(at.address)}`);
  let open = true;
  socket.on("message", (query, from) => {
    // RFC 768: source port 0 means that no reply is expected, and none can be sent there.
    if (from.port === 0) return;
    respond(query, peerOf("udp", from))
      .then((response) => {
        // A response that cannot be sent (EMSGSIZE, EHOSTUNREACH) is lost, and the client asks again.
        if (response && open) socket.send(response, from.port, from.address, () => {});
      })
      .catch((err: unknown) =>
        log.error({ peer: hostPort(from.address, from.port), err }, "DNS response could not be sent"),
      );
  });
  const listening = once(socket, "listening");
  socket.bind(at.port, at.address);
  try {
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  // An error of one datagram must not end the daemon.
  socket.on("error", () => {});
  return {
    port: socket.address().port,
    close: async () => {
      if (!open) return;
      open = false;
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
}

/** @throws the system's error when the port cannot be bound */
async function startTcp(options: TcpOptions, respond: Respond): Promise<BoundSocket> {
  const connections = new OpenSockets();
  const places = new Places(options.maxConnections);
  // Strangers get half, so that programs of this machine can always ask over TCP.
  const strangerPlaces = new Places(Math.floor(options.maxConnections / 2));
  // A client may end its side and still wait for responses.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (takePlaces(isOfThisMachine(socket) ? [places] : [places, strangerPlaces], socket)) return void socket.destroy();
    connections.add(socket);
    serveConnection(socket, options, respond);
  });
  const listening = once(server, "listening");
  server.listen(options.port, options.address);
  await listening;
  // A connection that cannot be accepted (EMFILE) must not end the daemon.
  server.on("error", () => {});
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([closed, connections.destroy()]);
    },
  };
}

function isOfThisMachine({ remoteAddress = "", localAddress }: Socket): boolean {
  return remoteAddress === localAddress || isLoopback(canonicalIp(remoteAddress) ?? remoteAddress);
}

/** One connection: two octets of length before each query (RFC 1035 section 4.2.2); responses in the order of the queries. */
function serveConnection(socket: Socket, { idleTimeout, log }: TcpOptions, respond: Respond): void {
  const peer = peerOf("tcp", { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 });
  let received: Buffer = Buffer.alloc(0);
  let answering = false;
  let ended = false;
  socket.setTimeout(idleTimeout, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    next();
  });
  socket.on("end", () => {
    ended = true;
    next();
  });

  function next(): void {
    answerAll().catch((err: unknown) => {
      log.error({ peer: hostPort(peer.address, peer.port), err }, "DNS response could not be sent");
      socket.destroy();
    });
  }

  async function answerAll(): Promise<void> {
    if (answering) return;
    answering = true;
    for (let query = take(); query !== undefined && !socket.destroyed; query = take()) {
      // Nothing is read meanwhile, so that queries do not pile up.
      socket.pause();
      await answerOne(socket, query, peer, respond);
      socket.resume();
    }
    answering = false;
    if (ended) socket.end();
  }

  function take(): Buffer | undefined {
    if (received.length < 2) return undefined;
    const end = 2 + received.readUInt16BE(0);
    if (received.length < end) return undefined;
    const query = received.subarray(2, end);
    received = received.subarray(end);
    return query;
  }
}

async function answerOne(socket: Socket, query: Buffer, peer: QueryPeer, respond: Respond): Promise<void> {
  const response = await respond(query, peer);
  if (response === undefined || socket.destroyed) {
    socket.destroy();
    return;
  }
  if (socket.write(framed(response))) return;
  // A peer that does not read gets no further responses until it reads or the idle time-out closes the connection.
  await new Promise<void>((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", resolve);
  });
}
