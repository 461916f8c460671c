import { type OnReadOpts, Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { SilentAddresses } from "../net/endpoint.js";
import { dial, type SpareDescriptors } from "./dial.js";
import type { RelayTimings } from "./limits.js";
import type { DialFailure } from "./wire/protocol.js";

/** A link of a relay, however its far end is spoken to. */
export interface RelayLink {
  readonly bytesToNode: number;
  readonly bytesFromNode: number;
  /** Since when one side has not read what the other sent; milliseconds of performance.now(). */
  readonly stalledSince: number | undefined;
  /** Ends both connections. */
  readonly cut: () => void;
}

export interface LinkOptions {
  readonly endpoints: readonly IpPort[];
  /** Shared by all links of the process. */
  readonly silent: SilentAddresses;
  readonly spare: SpareDescriptors;
  readonly timings: RelayTimings;
  readonly onDialFailed: (endpoint: IpPort, failure: DialFailure) => void;
  /** Both connections are closed. */
  readonly onEnd: (link: RelayLink) => void;
}

/** The connection of a VM here together with the connection to its peer, until both have ended. */
export class Link implements RelayLink {
  readonly #near: Socket;
  #far: Socket | undefined;
  readonly #options: LinkOptions;
  readonly #toNode = new Direction();
  readonly #fromNode = new Direction();
  readonly #abandonDial: () => void;
  #open = 1;
  #lingering: NodeJS.Timeout | undefined;

  /** @param accepted with allowHalfOpen, paused */
  constructor(accepted: Socket, options: LinkOptions) {
    this.#options = options;
    // It is read from the start: its end has to stop the dialling.
    this.#near = adopt(accepted, this.#toNode.onread);
    this.#near.on("end", this.cut).on("error", this.cut).on("close", this.#closed);
    this.#toNode.from(this.#near);
    this.#fromNode.to(this.#near);
    const { onDialFailed, ...rest } = options;
    const { onread } = this.#fromNode;
    this.#abandonDial = dial({ ...rest, onread, onFailed: onDialFailed, onDone: this.#dialled });
  }

  get bytesToNode(): number {
    return this.#far?.bytesWritten ?? 0;
  }

  get bytesFromNode(): number {
    return this.#far?.bytesRead ?? 0;
  }

  /** Since when one side has not read what the other sent; milliseconds of performance.now(). */
  get stalledSince(): number | undefined {
    const [one, other] = [this.#toNode.stalledSince, this.#fromNode.stalledSince];
    return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
  }

  /** Resets both connections: both sides see at once that the link is gone, and the system keeps no state of it. */
  readonly cut = (): void => {
    this.#abandonDial();
    reset(this.#near);
    if (this.#far) reset(this.#far);
  };

  readonly #dialled = (far: Socket | undefined): void => {
    const near = this.#near;
    if (!far) return void reset(near);
    this.#far = far;
    this.#open += 1;
    near.off("end", this.cut).on("end", this.#toNode.end).on("end", this.#half);
    far.on("end", this.#fromNode.end).on("end", this.#half).on("error", this.cut).on("close", this.#closed);
    this.#fromNode.from(far);
    this.#toNode.to(far);
  };

  /** RFC 9293 section 3.6: the other side may go on, for a limited time: an unreachable peer never answers a FIN. */
  readonly #half = (): void => {
    this.#lingering ??= setTimeout(this.cut, this.#options.timings.linger);
  };

  readonly #closed = (): void => {
    this.#open -= 1;
    if (this.#open > 0) return void this.#half();
    clearTimeout(this.#lingering);
    this.#abandonDial();
    this.#options.onEnd(this);
  };
}

/** libuv refuses a reset while it hands a FIN to the system, and the descriptor would leak: wait for that, one turn. */
export function reset(socket: Socket): void {
  const finishing = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (finishing && !socket.destroyed) socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/**
 * The same connection as a socket that reads into our buffer. Node has `onread` for outgoing connections only, so a new
 * socket takes over the handle of the accepted one, as Node's own TLSSocket does. Without a handle the accepted socket
 * itself is read.
 * @param accepted with pauseOnConnect: nothing was read from it
 */
export function adopt(accepted: Socket, onread: OnReadOpts): Socket {
  const inner = accepted as unknown as { _handle?: object | null };
  const handle = inner._handle;
  if (!handle) return readItself(accepted, onread);
  inner._handle = null;
  const socket = new Socket({ handle, onread, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
  // Its server counts it until it is destroyed, and close() would wait for it.
  accepted.destroy();
  return socket;
}

function readItself(accepted: Socket, { callback }: OnReadOpts): Socket {
  accepted.on("data", (bytes) => {
    if (!callback(bytes.length, bytes)) accepted.pause();
  });
  accepted.resume();
  return accepted;
}

/**
 * Bytes of one read. One buffer for each direction halves the time for a chunk, measured against Node's own reads, which
 * allocate a buffer each. Pages that were never written take no memory.
 */
const READ_SIZE = 128 * 1024;

/** Bytes kept while the peer is dialled. A VM sends a few hundred: its handshake then waits for the peer. */
const MAX_EARLY = 64 * 1024;

/**
 * One direction of a link: forwards bytes, and the end. It reads on only when the receiver has taken the bytes read
 * before, so a link holds at most one read.
 */
class Direction {
  /** Option of the socket that is read. */
  readonly onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(READ_SIZE),
    callback: (size, buffer) => this.take(buffer.subarray(0, size)),
  };
  #from: Socket | undefined;
  #to: Socket | undefined;
  #early: Buffer[] = [];
  #earlySize = 0;
  #stalledSince: number | undefined;

  /** Since when the receiver has not read what it was sent; milliseconds of performance.now(). */
  get stalledSince(): number | undefined {
    return this.#stalledSince;
  }

  readonly from = (socket: Socket): void => {
    this.#from = socket;
  };

  /** Sends the bytes there, first those that have arrived already. */
  readonly to = (socket: Socket): void => {
    this.#to = socket;
    // More than MAX_EARLY bytes had arrived, so reading has stopped: it continues when they are written.
    if (this.#earlySize > MAX_EARLY) this.#stalledSince = performance.now();
    const early = this.#early.splice(0);
    if (early.length > 0) this.take(Buffer.concat(early));
  };

  /** Forwards the end. */
  readonly end = (): void => {
    this.#to?.end();
  };

  /** @returns whether to read on; the bytes may be overwritten then */
  take(bytes: Uint8Array): boolean {
    if (!this.#to) {
      this.#early.push(Buffer.from(bytes));
      this.#earlySize += bytes.length;
      return this.#earlySize <= MAX_EARLY;
    }
    this.#to.write(bytes, this.#taken);
    // Zero: the system has taken all bytes.
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
