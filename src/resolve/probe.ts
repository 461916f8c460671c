import { connect, type Socket } from "node:net";
import { CONNECTION_ATTEMPT_DELAY, type Endpoint, hadItsTime } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { Trace } from "./core/resolution.js";

export interface ProbeOutcome {
  /** The first endpoint that accepted a connection; undefined when none did in time. */
  readonly accepting: Endpoint | undefined;
  /** No program listens there. */
  readonly refused: readonly Endpoint[];
  /** The connection failed for another reason, perhaps of this machine: no route, no address, no descriptor. */
  readonly failed: readonly Endpoint[];
  /** No answer within the Connection Attempt Delay. */
  readonly silent: readonly Endpoint[];
}

/**
 * Connects to the endpoints one after the other, until one accepts. The next attempt starts when the one before has
 * failed, or was silent for 250 ms. Nothing is sent.
 * @param limit milliseconds for all of it
 */
export function probe(endpoints: readonly Endpoint[], limit: number, trace?: Trace): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const waiting = [...endpoints];
    const sockets = new Map<Socket, { endpoint: Endpoint; startedAt: number }>();
    const refused: Endpoint[] = [];
    const failed: Endpoint[] = [];
    let stagger: NodeJS.Timeout | undefined;

    const settle = (accepting: Endpoint | undefined) => {
      clearTimeout(stagger);
      clearTimeout(whole);
      const now = performance.now();
      const silent = Array.from(sockets.values())
        .filter(({ endpoint, startedAt }) => endpoint !== accepting && hadItsTime(startedAt, now))
        .map(({ endpoint }) => endpoint);
      for (const socket of sockets.keys()) socket.destroy();
      resolve({ accepting, refused, failed, silent });
    };
    const whole = setTimeout(settle, limit, undefined);

    const next = () => {
      clearTimeout(stagger);
      const endpoint = waiting.shift();
      if (!endpoint) {
        if (sockets.size === 0) settle(undefined);
        return;
      }
      const startedAt = performance.now();
      const where = hostPort(endpoint.address, endpoint.port);
      const report = (result: string) =>
        trace?.({ step: "probe", endpoint, result, elapsedMs: performance.now() - startedAt });
      const socket = connect({ host: endpoint.address, port: endpoint.port });
      sockets.set(socket, { endpoint, startedAt });
      socket.on("connect", () => {
        report(`${where} accepts connections`);
        settle(endpoint);
      });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        report(`${where}: ${error.code ?? error.message}`);
        sockets.delete(socket);
        (error.code === "ECONNREFUSED" ? refused : failed).push(endpoint);
        next();
      });
      stagger = setTimeout(next, CONNECTION_ATTEMPT_DELAY);
    };
    next();
  });
}
