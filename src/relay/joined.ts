import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { reset } from "./link.js";

interface JoinedOptions {
  /** Milliseconds for the other direction, when one has ended. */
  readonly linger: number;
  /** Both connections are closed. */
  readonly onEnd: () => void;
}

/** Two connections whose bytes go from each to the other, until both have ended. One of them speaks TLS. */
export class Joined {
  readonly #ends: readonly Socket[];
  readonly #fromOne: Flow;
  readonly #fromOther: Flow;
  readonly #linger: number;
  readonly #onEnd: () => void;
  #open = 2;
  #lingering: NodeJS.Timeout | undefined;

  /** @param one @param other open, with allowHalfOpen */
  constructor(one: Socket, other: Socket, { linger, onEnd }: JoinedOptions) {
    this.#ends = [one, other];
    this.#linger = linger;
    this.#onEnd = onEnd;
    for (const end of this.#ends) end.on("error", this.cut).on("close", this.#closed).on("end", this.#half);
    this.#fromOne = new Flow(one, other);
    this.#fromOther = new Flow(other, one);
    // Its "end" may have been emitted before.
    if (this.#ends.some(({ readableEnded }) => readableEnded)) this.#half();
  }

  get bytesFromOne(): number {
    return this.#fromOne.bytes;
  }

  get bytesFromOther(): number {
    return this.#fromOther.bytes;
  }

  /** Since when one side has not read what the other sent; milliseconds of performance.now(). */
  get stalledSince(): number | undefined {
    const [one, other] = [this.#fromOne.stalledSince, this.#fromOther.stalledSince];
    return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
  }

  /** Ends both at once. */
  readonly cut = (): void => {
    for (const end of this.#ends) cutOff(end);
  };

  /** RFC 9293 section 3.6: the other side may go on, for a limited time: an unreachable peer never answers a FIN. */
  readonly #half = (): void => {
    this.#lingering ??= setTimeout(this.cut, this.#linger);
  };

  readonly #closed = (): void => {
    this.#open -= 1;
    if (this.#open > 0) return void this.#half();
    clearTimeout(this.#lingering);
    this.#onEnd();
  };
}

/** One direction: the bytes, and the end behind them. It reads on when the receiver has taken what was read. */
class Flow {
  bytes = 0;
  /** Since when the receiver has not read what it was sent; milliseconds of performance.now(). */
  stalledSince: number | undefined;

  constructor(from: Socket, to: Socket) {
    from.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (to.write(chunk)) return;
      from.pause();
      this.stalledSince ??= performance.now();
    });
    to.on("drain", () => {
      this.stalledSince = undefined;
      from.resume();
    });
    from.on("end", () => to.end());
    if (from.readableEnded) to.end();
    else from.resume();
  }
}

/** A TCP connection is reset, so that both sides see at once that the link is gone. TLS has no such end. */
export function cutOff(end: Socket): void {
  if ((end as Partial<TLSSocket>).encrypted) end.destroy();
  else reset(end);
}
