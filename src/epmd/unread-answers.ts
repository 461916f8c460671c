import type { Duplex } from "node:stream";

/** Bytes of all last answers that their clients have not taken from us. */
const MAX_UNREAD = 32 * 1024 * 1024;
/** Bytes; shorter answers are not counted: one for each connection that there may be is little. */
const SMALL = 4 * 1024;

/**
 * Last answers on their way to clients that are slow to read. A client may wait with that until the packet time-out, and
 * there may be thousands: beyond a bound the one that waits longest is dropped.
 */
export class UnreadAnswers {
  readonly #limit: number;
  /** Bytes by connection, the oldest first. */
  readonly #waiting = new Map<Duplex, number>();
  #bytes = 0;

  constructor(limit = MAX_UNREAD) {
    this.#limit = limit;
  }

  /** The last answer has been written to this connection. */
  keep(duplex: Duplex): void {
    const bytes = duplex.writableLength;
    if (bytes <= SMALL) return;
    this.#waiting.set(duplex, bytes);
    this.#bytes += bytes;
    duplex.once("close", () => this.#forget(duplex));
    while (this.#bytes > this.#limit) {
      const [oldest] = this.#waiting.keys();
      if (!oldest) return;
      this.#forget(oldest);
      oldest.destroy();
    }
  }

  #forget(duplex: Duplex): void {
    this.#bytes -= this.#waiting.get(duplex) ?? 0;
    this.#waiting.delete(duplex);
  }
}
