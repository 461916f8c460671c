import type { Duplex } from "node:stream";

/** Bytes of all answers that their clients have not taken from us. */
const MAX_UNREAD = 32 * 1024 * 1024;
/** Bytes; shorter answers are not counted: one for each connection that there may be is little. */
const SMALL = 4 * 1024;

/**
 * Answers on their way to clients that are slow to read: the last one of a connection, which may wait until the packet
 * time-out, and those of a registered client. There may be thousands: beyond a bound the one that waits longest is dropped.
 */
export class UnreadAnswers {
  readonly #limit: number;
  /** Bytes by connection, the oldest first. */
  readonly #waiting = new Map<Duplex, number>();
  /** Those that were dropped: their bytes are in memory until the close, which comes a turn of the event loop later. */
  readonly #dropped = new Map<Duplex, number>();
  readonly #known = new WeakSet<Duplex>();
  #bytes = 0;
  #droppedBytes = 0;

  constructor(limit = MAX_UNREAD) {
    this.#limit = limit;
  }

  /** So much is still on its way out of memory that nothing should be added. */
  get isFull(): boolean {
    return this.#droppedBytes > this.#limit;
  }

  /** An answer has been written to this connection. */
  keep(duplex: Duplex): void {
    if (duplex.closed) return;
    this.#count(duplex);
    while (this.#bytes > this.#limit) {
      const [oldest] = this.#waiting.keys();
      if (!oldest) return;
      // It may have read some of it since.
      if (!this.#count(oldest)) this.#drop(oldest);
    }
  }

  /** @returns whether it waits for less than before */
  #count(duplex: Duplex): boolean {
    const before = this.#waiting.get(duplex) ?? 0;
    const now = duplex.writableLength > SMALL ? duplex.writableLength : 0;
    this.#bytes += now - before;
    if (now > 0) this.#waiting.set(duplex, now);
    else this.#waiting.delete(duplex);
    if (now > 0 && !this.#known.has(duplex)) {
      this.#known.add(duplex);
      duplex.once("close", () => this.#forget(duplex));
    }
    return now < before;
  }

  #drop(duplex: Duplex): void {
    const bytes = this.#waiting.get(duplex) ?? 0;
    this.#forget(duplex);
    this.#dropped.set(duplex, bytes);
    this.#droppedBytes += bytes;
    duplex.destroy();
  }

  #forget(duplex: Duplex): void {
    this.#bytes -= this.#waiting.get(duplex) ?? 0;
    this.#waiting.delete(duplex);
    this.#droppedBytes -= this.#dropped.get(duplex) ?? 0;
    this.#dropped.delete(duplex);
  }
}
