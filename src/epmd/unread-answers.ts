import type { Duplex } from "node:stream";

/** Unread answers of all connections, bytes. */
const MAX_UNREAD = 32 * 1024 * 1024;
/** Bytes; shorter answers are not counted: one for each connection needs little memory. */
const SMALL = 4 * 1024;

/**
 * Answers that clients have not read yet: the last answer of a connection, which may wait until the packet time-out, and
 * the answers to a registered client. There may be thousands: above a limit the connection that waits longest is closed.
 */
export class UnreadAnswers {
  readonly #limit: number;
  /** Bytes by connection, the oldest first. */
  readonly #waiting = new Map<Duplex, number>();
  /** Closed ones: their bytes are in memory until `close` is emitted, a turn of the event loop later. */
  readonly #dropped = new Map<Duplex, number>();
  readonly #known = new WeakSet<Duplex>();
  #bytes = 0;
  #droppedBytes = 0;

  constructor(limit = MAX_UNREAD) {
    this.#limit = limit;
  }

  /** The bytes of closed connections have reached the limit: no answer should be added before they are freed. */
  get isFull(): boolean {
    return this.#droppedBytes > this.#limit;
  }

  /** To be called when an answer has been written to this connection. */
  keep(duplex: Duplex): void {
    if (duplex.closed) return;
    this.#count(duplex);
    while (this.#bytes > this.#limit) {
      const [oldest] = this.#waiting.keys();
      if (!oldest) return;
      // Its client may have read some of it meanwhile.
      if (!this.#count(oldest)) this.#drop(oldest);
    }
  }

  /** @returns whether fewer bytes wait than before */
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
