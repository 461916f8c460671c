import { connect, type OnReadOpts, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { describeError } from "../errors.js";
import { CONNECTION_ATTEMPT_DELAY, hadItsTime, type SilentAddresses } from "../net/endpoint.js";
import type { RelayTimings } from "./limits.js";
import type { DialFailure } from "./wire/protocol.js";

interface DialOptions {
  /** In the order in which they are tried; addresses that were silent before come last. */
  readonly endpoints: readonly IpPort[];
  readonly silent: SilentAddresses;
  /** Descriptors for further attempts; the first one uses the descriptor of the link. */
  readonly spare: SpareDescriptors;
  readonly timings: Pick<RelayTimings, "dial" | "keepAlive">;
  /** How the socket is read; absent: as a stream. */
  readonly onread?: OnReadOpts;
  readonly onFailed: (endpoint: IpPort, failure: DialFailure) => void;
  /** Called once, before any other event of the socket. Undefined: no endpoint accepted in time. */
  readonly onDone: (socket: Socket | undefined) => void;
}

/** Descriptors of the process that are not needed otherwise. */
export interface SpareDescriptors {
  /** @returns whether there was one */
  readonly take: () => boolean;
  readonly give: () => void;
}

/** Attempts at once for one link, each with a descriptor. */
const MAX_ATTEMPTS = 8;

interface Attempt {
  readonly endpoint: IpPort;
  readonly startedAt: number;
}

/**
 * Connects to the endpoint that accepts first: the next is tried at once when one refuses, and beside one that has been
 * silent for 250 ms. When no descriptor is left for a further attempt, the oldest attempt ends after its share of the time.
 * @returns a function that ends all attempts, without a call of onDone
 */
export function dial(options: DialOptions): () => void {
  const { endpoints, silent, spare, timings, onread, onFailed, onDone } = options;
  const waiting = silent.order(endpoints, performance.now());
  const attempts = new Map<Socket, Attempt>();
  // Every endpoint gets its turn within the time.
  const part = timings.dial / endpoints.length;
  const delay = Math.min(CONNECTION_ATTEMPT_DELAY, part);
  let stagger: NodeJS.Timeout | undefined;

  const abandon = () => {
    clearTimeout(stagger);
    clearTimeout(whole);
    for (const socket of attempts.keys()) {
      remove(socket);
      socket.destroy();
    }
  };
  const takeRoom = () => attempts.size === 0 || (attempts.size < MAX_ATTEMPTS && spare.take());
  /** @returns whether it was one of the attempts */
  const remove = (socket: Socket): boolean => {
    const removed = attempts.delete(socket);
    if (removed && attempts.size > 0) spare.give();
    return removed;
  };
  const giveUp = ({ endpoint, startedAt }: Attempt, now: number) => {
    silent.note(endpoint.address, now);
    onFailed(endpoint, { code: "ETIMEDOUT", reason: `no answer within ${Math.round(now - startedAt)} ms` });
  };
  /** Endpoints that have not answered in their time are tried last from now on. */
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
    const [endpoint] = waiting;
    if (!endpoint) {
      if (attempts.size === 0) settle(undefined);
      return;
    }
    const now = performance.now();
    for (const [oldest, attempt] of attempts) {
      if (takeRoom()) break;
      const rest = attempt.startedAt + part - now;
      if (rest > 0) {
        stagger = setTimeout(next, rest);
        return;
      }
      remove(oldest);
      oldest.destroy();
      giveUp(attempt, now);
    }
    waiting.shift();
    const socket = connect({
      host: endpoint.address,
      port: endpoint.port,
      ...(onread && { onread }),
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: timings.keepAlive,
    });
    attempts.set(socket, { endpoint, startedAt: performance.now() });
    const failed = (error: NodeJS.ErrnoException) => {
      // An attempt that was given up may still fail.
      if (!remove(socket)) return;
      silent.answered(endpoint.address);
      onFailed(endpoint, { ...(error.code !== undefined && { code: error.code }), reason: describeError(error) });
      next();
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      remove(socket);
      silent.answered(endpoint.address);
      settle(socket);
    });
    stagger = setTimeout(next, delay);
  };
  next();

  return abandon;
}
