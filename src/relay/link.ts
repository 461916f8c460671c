import { type OnReadOpts, Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { SilentAddresses } from "../net/endpoint.js";
import { dial, type SpareDescriptors } from "./dial.js";
import { Direction } from "./direction.js";
import type { RelayTimings } from "./limits.js";

export interface LinkOptions {
  readonly endpoints: readonly IpPort[];
  /** Of all links of the process. */
  readonly silent: SilentAddresses;
  readonly spare: SpareDescriptors;
  readonly timings: RelayTimings;
  readonly onDialFailed: (endpoint: IpPort, reason: string) => void;
  /** Both connections are closed. */
  readonly onEnd: (link: Link) => void;
}

/** A connection of a VM here and its continuation to the peer, until both have ended. */
export class Link {
  readonly #near: Socket;
  #far: Socket | undefined;
  readonly #options: LinkOptions;
  readonly #toNode = new Direction();
  readonly #fromNode = new Direction();
  readonly #abandonDial: () => void;
  #open = 1;
  #lingering: NodeJS.Timeout | undefined;

  /** @param accepted half-open allowed, paused */
  constructor(accepted: Socket, options: LinkOptions) {
    this.#options = options;
    // It is read from the start: else its end would go unnoticed, and an attempt be made for nobody.
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

  /** Since when one side has not taken what the other sent; milliseconds of performance.now(). */
  get stalledSince(): number | undefined {
    const [one, other] = [this.#toNode.stalledSince, this.#fromNode.stalledSince];
    return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
  }

  /** Resets both connections: each side sees at once that the link is gone, and nothing of it stays in the system. */
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

  /** RFC 9293 section 3.6: the other side may go on. But not for ever: a peer behind a cut link never answers a FIN. */
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

/** While a FIN is on its way to the system, libuv refuses to reset, and the descriptor would be lost: a matter of one turn. */
function reset(socket: Socket): void {
  const finishing = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (finishing && !socket.destroyed) socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/**
 * The same connection as a socket that reads into a buffer of ours. Node has `onread` for connections that are made, and
 * none for those that are accepted; its own TLSSocket takes over the handle of a socket in this way. Where that handle is
 * not to be had, the socket itself is read, as any other.
 * @param accepted with pauseOnConnect: nothing was read from it
 */
export function adopt(accepted: Socket, onread: OnReadOpts): Socket {
  const inner = accepted as unknown as { _handle?: object | null };
  const handle = inner._handle;
  if (!handle) return readItself(accepted, onread);
  inner._handle = null;
  const socket = new Socket({ handle, onread, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
  // Its server counts it until then, and would not close.
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
