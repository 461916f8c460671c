import dgram from "node:dgram";
import type { Family } from "../net/endpoint.js";
import { familyOfLiteral } from "../net/ip.js";

/** One query: what is sent, and who is told what comes. */
interface UdpQuery {
  readonly server: { readonly address: string; readonly port: number };
  readonly bytes: Buffer;
  readonly received: (bytes: Buffer) => void;
  readonly failed: (error: Error) => void;
}

/** Of each family; further ones are closed after their query. */
const MOST_KEPT = 64;
/** A socket that has not been needed for so long is closed, milliseconds. */
const KEPT_FOR = 10_000;

/**
 * Sockets for queries over UDP. A socket is kept for further queries, its port is not. To make and close a socket takes as
 * much CPU time as to send and to receive.
 *
 * RFC 5452 section 7: who forges an answer from elsewhere has to guess the id and the port of a query that is under
 * way, while the socket is open. The system draws each port, and on Linux from 28,232 (ip_local_port_range 32768 to 60999):
 * 16 + log2(28,232) = 30.8 bits, as with a new socket for each query. A port that several queries share leaves less: it is
 * open for longer than one of them, and may be found meanwhile by the ICMP errors of closed ones. Linux sends 1,000 of
 * these a second, so that in 10 s, as c-ares shares a port, 10,000 ports are tried. Every third attempt then finds
 * the port, and has the 16 bits of the id alone against it. Letter case in the question (draft-vixie-dnsext-dns0x20) might
 * make up for it, but a server whose names have a case would say of such a name that it does not exist.
 */
export class UdpSockets {
  readonly #kept: Readonly<Record<Family, UdpSocket[]>> = { 4: [], 6: [] };
  /** The fewest that were kept since the last look: so many are not needed. */
  readonly #unused: Record<Family, number> = { 4: 0, 6: 0 };
  #resting: UdpSocket[] = [];
  #looking: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Sends a query from a port of its own. @returns what ends it; `isAnswered`: with the answer, so that no error is to come */
  send(query: UdpQuery): (isAnswered: boolean) => void {
    const family = familyOfLiteral(query.server.address);
    const kept = this.#kept[family].pop();
    this.#unused[family] = Math.min(this.#unused[family], this.#kept[family].length);
    const socket = kept ?? new UdpSocket(family);
    socket.send(query);
    let isOpen = true;
    return (isAnswered) => {
      if (!isOpen) return;
      isOpen = false;
      if (isAnswered && !this.#isClosed && socket.rest()) this.#rest(socket);
      else socket.close();
    };
  }

  /** Closes those that are kept; from now on none is. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#looking);
    for (const socket of [...this.#resting, ...this.#kept[4], ...this.#kept[6]]) socket.close();
    this.#resting = [];
    this.#kept[4].length = 0;
    this.#kept[6].length = 0;
  }

  /**
   * What was sent to the old port may still be in the socket's queue, and would be one more guess at the next query. The
   * system hands it over before this turn of the event loop ends, and closes the socket.
   */
  #rest(socket: UdpSocket): void {
    if (this.#resting.push(socket) > 1) return;
    setImmediate(() => {
      for (const rested of this.#resting) this.#keep(rested);
      this.#resting = [];
    });
  }

  #keep(socket: UdpSocket): void {
    if (socket.isClosed) return;
    const kept = this.#kept[socket.family];
    if (kept.length >= MOST_KEPT) socket.close();
    else kept.push(socket);
    this.#looking ??= setTimeout(() => this.#closeUnused(), KEPT_FOR).unref();
  }

  #closeUnused(): void {
    this.#looking = undefined;
    for (const family of [4, 6] as const) {
      const kept = this.#kept[family];
      for (const socket of kept.splice(0, this.#unused[family])) socket.close();
      this.#unused[family] = kept.length;
      if (kept.length > 0) this.#looking ??= setTimeout(() => this.#closeUnused(), KEPT_FOR).unref();
    }
  }
}

/** A socket with one query at a time, each from a port of its own. While it rests it does not keep the process alive. */
class UdpSocket {
  readonly family: Family;
  readonly #socket: dgram.Socket;
  #query: UdpQuery | undefined;
  /** Datagrams that came for the query. */
  #received = 0;
  isClosed = false;

  constructor(family: Family) {
    this.family = family;
    // The address of a server is a literal: nothing is to be looked up.
    const lookup: dgram.SocketOptions["lookup"] = (address, _, callback) => callback(null, address, family);
    this.#socket = dgram.createSocket({ type: `udp${family}`, lookup });
    // Later, because the caller of `send` is not ready for it yet.
    this.#socket.on("error", (error) => process.nextTick(() => this.#failed(error)));
    this.#socket.on("message", (bytes) => {
      this.#received += 1;
      if (this.#query) this.#query.received(bytes);
      else this.close();
    });
    this.#socket.on("connect", () => {
      const query = this.#query;
      if (query) this.#socket.send(query.bytes, (error) => error && query.failed(error));
    });
  }

  send(query: UdpQuery): void {
    this.#query = query;
    this.#received = 0;
    this.#socket.ref();
    // A connected socket receives datagrams from this server only, and ICMP "port unreachable" as an error. To connect
    // draws a port where there is none. Without a callback a failure is an "error" event.
    this.#socket.connect(query.server.port, query.server.address);
  }

  /** Ends the query, and gives up its port. @returns whether the socket may be used again */
  rest(): boolean {
    this.#query = undefined;
    // Somebody guesses: what else has come is not to be read with the next query.
    if (this.#received !== 1) return false;
    try {
      // Linux gives the port up with the connection; other systems keep it.
      this.#socket.disconnect();
      if (this.#socket.address().port !== 0) return false;
    } catch {
      return false;
    }
    this.#socket.unref();
    return true;
  }

  close(): void {
    this.#query = undefined;
    if (this.isClosed) return;
    this.isClosed = true;
    this.#socket.close();
  }

  #failed(error: Error): void {
    if (this.#query) this.#query.failed(error);
    else this.close();
  }
}
