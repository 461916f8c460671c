import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Logger } from "../daemon/logger.js";
import { Places, takePlaces } from "../epmd/places.js";
import { canonicalIp, isLoopback } from "../net/ip.js";
import { type QueryPeer, type Respond, toPeer } from "./query-peer.js";
import type { Listening } from "./responder-udp.js";

interface TcpOptions {
  readonly address: string;
  readonly port: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
  readonly maxConnections: number;
  readonly log: Logger;
}

/** Rejects with the system's error when the port cannot be bound. */
export async function startTcpResponder(options: TcpOptions, respond: Respond): Promise<Listening> {
  const connections = new Set<Socket>();
  // A client may say that it has nothing more to ask and still wait for what it asked.
  const places = new Places(options.maxConnections);
  // Strangers cannot keep the programs here from asking over TCP.
  const strangerPlaces = new Places(Math.floor(options.maxConnections / 2));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (takePlaces(isOfThisMachine(socket) ? [places] : [places, strangerPlaces], socket)) return void socket.destroy();
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serve(socket, options, respond);
  });
  const listening = once(server, "listening");
  server.listen(options.port, options.address);
  await listening;
  // Failures to accept one connection (EMFILE) must not end the daemon.
  server.on("error", () => {});
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

function isOfThisMachine({ remoteAddress = "", localAddress }: Socket): boolean {
  return remoteAddress === localAddress || isLoopback(canonicalIp(remoteAddress) ?? remoteAddress);
}

/** One connection: queries with two octets of length before each (RFC 1035 section 4.2.2), answered in their order. */
function serve(socket: Socket, { idleTimeout, log }: TcpOptions, respond: Respond): void {
  const peer = toPeer("tcp", { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 });
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
      log.error({ peer: peer.address, err }, "DNS response could not be sent");
      socket.destroy();
    });
  }

  async function answerAll(): Promise<void> {
    if (answering) return;
    answering = true;
    for (let query = take(); query !== undefined && !socket.destroyed; query = take()) {
      // Nothing more is read meanwhile: a peer cannot pile up queries faster than they are answered.
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
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(response.length);
  if (socket.write(Buffer.concat([prefix, response]))) return;
  // A peer that asks and does not read is held here until it reads, or until the idle time-out ends it.
  await new Promise<void>((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", resolve);
  });
}
