import { connect, type OnReadOpts, type Socket } from "node:net";
import { describeError } from "../core/errors.js";
import type { IpPort } from "../core/network-values.js";
import type { RelayTimings } from "./relay-timings.js";

export interface DialOptions {
  /** In the order in which they are tried. */
  readonly endpoints: readonly IpPort[];
  readonly timings: Pick<RelayTimings, "dial" | "keepAlive">;
  /** How the socket is read. */
  readonly onread: OnReadOpts;
  readonly onFailed: (endpoint: IpPort, reason: string) => void;
  /** Called once, and before anything else can happen to the socket; without one when no endpoint accepted in time. */
  readonly onDone: (socket: Socket | undefined) => void;
}

/**
 * Connects to the first endpoint that accepts: the next is tried at once when one refuses, and when one is silent, after
 * a share of the time that leaves as much to each of those behind it.
 * @returns gives up without a call of onDone: no attempt is left over
 */
export function dial({ endpoints, timings, onread, onFailed, onDone }: DialOptions): () => void {
  const end = performance.now() + timings.dial;
  let attempt: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;

  const tryFrom = (index: number) => {
    const endpoint = endpoints[index];
    const left = end - performance.now();
    if (!endpoint || left <= 0) return onDone(undefined);
    const socket = connect({
      host: endpoint.address,
      port: endpoint.port,
      onread,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: timings.keepAlive,
    });
    attempt = socket;
    const next = (reason: string) => {
      clearTimeout(timer);
      socket.destroy();
      if (attempt !== socket) return;
      onFailed(endpoint, reason);
      tryFrom(index + 1);
    };
    const failed = (error: Error) => next(describeError(error));
    socket.once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      attempt = undefined;
      onDone(socket);
    });
    const share = left / (endpoints.length - index);
    timer = setTimeout(() => next(`no answer within ${Math.round(share)} ms`), share);
  };
  tryFrom(0);

  return () => {
    clearTimeout(timer);
    const socket = attempt;
    attempt = undefined;
    socket?.destroy();
  };
}
