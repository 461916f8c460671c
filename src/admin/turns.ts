import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Milliseconds for a request, from the connection on or from the answer to the one before. */
export interface TurnLimits {
  readonly first: number;
  readonly next: number;
}

/**
 * Connections take turns: a request, its answer, the next request. One that is slow with its request must not keep a place
 * for ever, and one that sends requests ahead would have us work on thousands at once. (headersTimeout and requestTimeout
 * of node:http count only in servers that listen themselves.)
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** Those whose turn it is to ask. */
  readonly #asking = new Map<Socket, NodeJS.Timeout>();

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** A new connection. */
  add(socket: Socket): void {
    this.#wait(socket, this.#limits.first);
    socket.once("close", () => this.#end(socket));
  }

  /** It has asked. @returns false when it was not its turn */
  take(socket: Socket, response: ServerResponse): boolean {
    if (!this.#end(socket)) return false;
    response.once("close", () => socket.destroyed || this.#wait(socket, this.#limits.next));
    return true;
  }

  #wait(socket: Socket, limit: number): void {
    this.#asking.set(
      socket,
      setTimeout(() => socket.destroy(), limit),
    );
  }

  #end(socket: Socket): boolean {
    clearTimeout(this.#asking.get(socket));
    return this.#asking.delete(socket);
  }
}
