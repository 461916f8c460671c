import type { OnReadOpts, Socket } from "node:net";

/**
 * Bytes of one read. A buffer of our own for each direction halves the time that a chunk costs: measured against Node's
 * own reads, which allocate each. Pages that nothing was read into are not resident.
 */
const READ_SIZE = 128 * 1024;

/** What a VM sends before its peer has accepted is a few hundred bytes: the handshake waits for the peer. */
const MAX_EARLY = 64 * 1024;

/**
 * One direction of a link: passes on what comes, and the end. Nothing is read while the receiver has not taken what was
 * read before; so the link never holds more than one read.
 */
export class Direction {
  /** For the socket that is read. */
  readonly onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(READ_SIZE),
    callback: (size, buffer) => this.take(buffer.subarray(0, size)),
  };
  #from: Socket | undefined;
  #to: Socket | undefined;
  #early: Buffer[] = [];
  #earlySize = 0;
  #stalledSince: number | undefined;

  /** Since when the receiver has not taken what it was sent; milliseconds of performance.now(). */
  get stalledSince(): number | undefined {
    return this.#stalledSince;
  }

  readonly from = (socket: Socket): void => {
    this.#from = socket;
  };

  /** From now on what comes is sent there, and first what has come already. */
  readonly to = (socket: Socket): void => {
    this.#to = socket;
    // Too much of it has stopped the reading, which goes on when it is written.
    if (this.#earlySize > MAX_EARLY) this.#stalledSince = performance.now();
    const early = this.#early.splice(0);
    if (early.length > 0) this.take(Buffer.concat(early));
  };

  /** Nothing more will come. */
  readonly end = (): void => {
    this.#to?.end();
  };

  /** @returns whether the bytes are no longer needed, and more may come */
  take(bytes: Uint8Array): boolean {
    if (!this.#to) {
      this.#early.push(Buffer.from(bytes));
      this.#earlySize += bytes.length;
      return this.#earlySize <= MAX_EARLY;
    }
    this.#to.write(bytes, this.#taken);
    // Zero: the system took all of it at once.
    if (this.#to.writableLength === 0) return true;
    this.#stalledSince ??= performance.now();
    return false;
  }

  readonly #taken = (): void => {
    if (this.#stalledSince === undefined || this.#to?.writableLength !== 0) return;
    this.#stalledSince = undefined;
    this.#from?.resume();
  };
}
