import type { Socket } from "node:net";

interface Open {
  readonly socket: Socket;
  /** Where it is in the list. */
  place: number;
}

/**
 * The sockets of a server that are open. No Set: after so many additions a Set moves to a new table, and the old one, once it
 * is in V8's old space, keeps alive each socket that was in it until a full garbage collection: scavenges do not look there.
 */
export class OpenSockets {
  readonly #open: Open[] = [];

  get size(): number {
    return this.#open.length;
  }

  /** Until it emits `close`. */
  add(socket: Socket): void {
    const open = { socket, place: this.#open.length };
    this.#open.push(open);
    socket.on("close", () => this.#remove(open));
  }

  /** Resolves when all have emitted `close`. */
  async destroy(): Promise<void> {
    const sockets = this.#open.map(({ socket }) => socket);
    const closed = sockets.map((socket) => new Promise<void>((resolve) => socket.once("close", resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  }

  /** The last one of the list takes its place. */
  #remove(gone: Open): void {
    const last = this.#open.pop();
    if (!last || last === gone) return;
    last.place = gone.place;
    this.#open[gone.place] = last;
  }
}
