import { connect, type OnReadOpts, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { describeError } from "../errors.js";
import { CONNECTION_ATTEMPT_DELAY, hadItsTime, type SilentAddresses } from "../net/endpoint.js";
import type { RelayTimings } from "./limits.js";

export interface DialOptions {
  /** In the order in which they are tried, but for addresses that were silent a moment ago. */
  readonly endpoints: readonly IpPort[];
  readonly silent: SilentAddresses;
  readonly timings: Pick<RelayTimings, "dial" | "keepAlive">;
  /** How the socket is read. */
  readonly onread: OnReadOpts;
  readonly onFailed: (endpoint: IpPort, reason: string) => void;
  /** Called once, and before anything else can happen to the socket; without one when no endpoint accepted in time. */
  readonly onDone: (socket: Socket | undefined) => void;
}

/** Attempts at once for one link, each with a descriptor: the oldest gives way. */
const MAX_ATTEMPTS = 8;

interface Attempt {
  readonly endpoint: IpPort;
  readonly startedAt: number;
}

/**
 * Connects to the endpoint that accepts first: the next is tried at once when one refuses, and beside one that has been
 * silent for 250 ms.
 * @returns gives up without a call of onDone: no attempt is left over
 */
export function dial({ endpoints, silent, timings, onread, onFailed, onDone }: DialOptions): () => void {
  const waiting = silent.order(endpoints, performance.now());
  const attempts = new Map<Socket, Attempt>();
  // Each gets its turn, however little time there is.
  const delay = Math.min(CONNECTION_ATTEMPT_DELAY, timings.dial / endpoints.length);
  let stagger: NodeJS.Timeout | undefined;

  const abandon = () => {
    clearTimeout(stagger);
    clearTimeout(whole);
    for (const socket of attempts.keys()) socket.destroy();
    attempts.clear();
  };
  const giveUp = ({ endpoint, startedAt }: Attempt, now: number) => {
    silent.note(endpoint.address, now);
    onFailed(endpoint, `no answer within ${Math.round(now - startedAt)} ms`);
  };
  /** What has not answered until now, though there was time, is tried last from now on. */
  const settle = (socket: Socket | undefined) => {
    const now = performance.now();
    const unanswered = Array.from(attempts.values());
    abandon();
    for (const attempt of unanswered) {
      if (!socket || hadItsTime(attempt.startedAt, now, delay)) giveUp(attempt, now);
    }
    onDone(socket);
  };
  const whole = setTimeout(settle, timings.dial, undefined);

  const next = () => {
    clearTimeout(stagger);
    const endpoint = waiting.shift();
    if (!endpoint) {
      if (attempts.size === 0) settle(undefined);
      return;
    }
    const [oldest] = attempts;
    if (oldest && attempts.size >= MAX_ATTEMPTS) {
      attempts.delete(oldest[0]);
      oldest[0].destroy();
      giveUp(oldest[1], performance.now());
    }
    const socket = connect({
      host: endpoint.address,
      port: endpoint.port,
      onread,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: timings.keepAlive,
    });
    attempts.set(socket, { endpoint, startedAt: performance.now() });
    const failed = (error: Error) => {
      // An attempt that was given up may fail as well.
      if (!attempts.delete(socket)) return;
      silent.answered(endpoint.address);
      onFailed(endpoint, describeError(error));
      next();
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      attempts.delete(socket);
      silent.answered(endpoint.address);
      settle(socket);
    });
    stagger = setTimeout(next, delay);
  };
  next();

  return abandon;
}
