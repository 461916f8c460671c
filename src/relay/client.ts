import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpPort, PortRange } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import { makePrivateFolder } from "../os/private-folder.js";
import { Sampling } from "../sampling.js";
import { type RelayStart, relayCommand, startDetached } from "./autostart.js";
import { NobodyThere, openChannel, type RelayChannel } from "./channel.js";
import { MAX_ENDPOINTS, type RelayEvent, type Relayed, type RelayStatus, type RelayTarget } from "./wire/protocol.js";

export interface RelayClientOptions {
  /** Path of the control socket. */
  readonly socket: string;
  /** For a relay process that is started here. */
  readonly ports: PortRange;
  /** When there is no relay process; undefined: somebody else starts one. */
  readonly start: RelayStart | undefined;
  /** Pairs that the relay process remembers, at every connection to it; `ready` waits for it. */
  readonly onPairs: (pairs: readonly HostAddress[]) => void | Promise<void>;
  /** What it should remember; told to it at every connection. */
  readonly ownPairs: () => readonly HostAddress[];
  readonly onDialFailed: (node: string, endpoint: IpPort, reason: string) => void;
  readonly log: Logger;
  readonly timings?: Partial<ClientTimings>;
}

export interface RelayClient {
  /** A port on the address through which the node is reached. */
  readonly ensure: (target: RelayTarget) => Promise<Relayed>;
  /** Lets the relay process remember a pair; one that is away is told when it is back. */
  readonly keep: (pair: HostAddress) => void;
  /** Undefined: there is no relay process. */
  readonly status: () => Promise<RelayStatus | undefined>;
  /** Why there is none, as far as is known. */
  readonly trouble: () => string | undefined;
  /** Whether there was a relay process soon after the start. */
  readonly ready: Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Milliseconds. */
export interface ClientTimings {
  /** For `ready`. */
  readonly ready: number;
  /** For one request, the wait for a connection included: a VM waits for it. */
  readonly request: number;
  /** Between attempts to connect, the first and the longest. */
  readonly firstDelay: number;
  readonly longestDelay: number;
  /** A relay process that somebody else starts may take this long to be there. */
  readonly othersStart: number;
  /** Until a relay process that does not come up is started again. */
  readonly startAgain: number;
  /** A connection that lasted this long was a good one: the next attempt after it comes soon. */
  readonly good: number;
}

const TIMINGS: ClientTimings = {
  ready: 3_000,
  request: 1_000,
  firstDelay: 25,
  longestDelay: 500,
  othersStart: 2_000,
  startAgain: 5_000,
  good: 1_000,
};

/** Keeps a connection to the relay process, and starts one where there is none. */
export function startRelayClient(options: RelayClientOptions): RelayClient {
  return new Client(options);
}

class Client implements RelayClient {
  readonly #options: RelayClientOptions;
  readonly #timings: ClientTimings;
  readonly #stopping = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly ready: Promise<boolean>;
  readonly #running: Promise<void>;
  #channel: RelayChannel | undefined;
  /** Milliseconds of performance.now(). */
  #aloneSince = performance.now();
  #startedAt = Number.NEGATIVE_INFINITY;
  /** The relay process that was started has not been there since. */
  #unanswered = false;
  #complaint: string | undefined;
  readonly #sampling = new Sampling();

  constructor(options: RelayClientOptions) {
    this.#options = options;
    this.#timings = { ...TIMINGS, ...options.timings };
    this.ready = this.#connected(this.#timings.ready).then((channel) => channel !== undefined);
    this.#running = this.#run();
  }

  /** Until close(). */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let delay = this.#timings.firstDelay;
    while (!signal.aborted) {
      try {
        const channel = await openChannel(this.#options.socket, (event) => this.#take(event), signal);
        const since = performance.now();
        await this.#serve(channel);
        if (performance.now() - since >= this.#timings.good) delay = this.#timings.firstDelay;
      } catch (error) {
        if (signal.aborted) return;
        await this.#startOrComplain(error);
      }
      await sleep(delay, undefined, { signal }).catch(() => {});
      delay = Math.min(delay * 2, this.#timings.longestDelay);
    }
  }

  readonly ensure = async ({ node, address, endpoints }: RelayTarget): Promise<Relayed> => {
    // Only what the protocol has: endpoints come with the SRV data that they were made from.
    const targets = endpoints
      .slice(0, MAX_ENDPOINTS)
      .map((endpoint) => ({ address: endpoint.address, port: endpoint.port }));
    const end = performance.now() + this.#timings.request;
    for (;;) {
      const left = () => end - performance.now();
      const channel = await this.#connected(left());
      if (!channel)
        return {
          outcome: "failed",
          reason: `there is no relay process: ${this.#complaint ?? `nobody answers at ${this.#options.socket} yet`}`,
        };
      const reply = await channel.request({ type: "ensure", node, address, endpoints: targets }, left());
      if (reply?.type === "ensured") return { outcome: "relayed", port: reply.port };
      if (reply?.type === "refused") return { outcome: "failed", reason: reply.reason };
      if (channel.isOpen()) return { outcome: "failed", reason: "the relay process does not answer" };
      // It went away meanwhile: the next one is asked.
      if (this.#channel === channel) this.#channel = undefined;
    }
  };

  readonly keep = (pair: HostAddress): void => {
    if (!this.#channel) return;
    this.#channel.request({ type: "pair", ...pair }, this.#timings.request).then((reply) => {
      if (reply?.type !== "refused") return;
      this.#options.log.warn({ ...pair, reason: reply.reason }, "the relay process does not remember a host's address");
    });
  };

  readonly trouble = (): string | undefined => this.#complaint;

  readonly status = async (): Promise<RelayStatus | undefined> => {
    const reply = await this.#channel?.request({ type: "status" }, this.#timings.request);
    return reply?.type === "status" ? reply.status : undefined;
  };

  readonly close = async (): Promise<void> => {
    this.#stopping.abort();
    this.#channel?.close();
    for (const wake of Array.from(this.#waiting)) wake();
    await this.#running;
  };

  /** From its hello to its end. */
  async #serve(channel: RelayChannel): Promise<void> {
    const { onPairs, ownPairs, socket } = this.#options;
    try {
      await onPairs(channel.pairs);
    } catch (error) {
      channel.close();
      throw error;
    }
    if (this.#stopping.signal.aborted) return channel.close();
    this.#channel = channel;
    this.#complaint = undefined;
    this.#unanswered = false;
    this.#tell("info", { relay: channel.pid, socket }, "relay process connected");
    for (const pair of ownPairs()) this.keep(pair);
    for (const wake of Array.from(this.#waiting)) wake();
    const why = await channel.closed;
    this.#channel = undefined;
    this.#aloneSince = performance.now();
    if (!this.#stopping.signal.aborted) this.#tell("warn", { relay: channel.pid, reason: why }, "relay process lost");
  }

  /** One that greets and then breaks the protocol comes and goes for as long as it runs. */
  #tell(level: "info" | "warn", what: object, message: string): void {
    const leftOut = this.#sampling.take(`${message} ${JSON.stringify(what)}`, performance.now());
    if (leftOut !== undefined) this.#options.log[level]({ ...what, ...(leftOut > 0 && { leftOut }) }, message);
  }

  #take(event: RelayEvent): void {
    const { onDialFailed } = this.#options;
    if (event.type === "dial-failed") onDialFailed(event.node, event.endpoint, event.reason);
    if (event.type === "notice") this.#tell("warn", {}, `relay process: ${event.message}`);
  }

  /** The channel, as soon as there is one; undefined when the time is over. */
  async #connected(limit: number): Promise<RelayChannel | undefined> {
    if (!this.#channel && limit > 0 && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, limit);
        this.#waiting.add(wake);
      });
    }
    return this.#channel;
  }

  async #startOrComplain(error: unknown): Promise<void> {
    const { start, socket } = this.#options;
    const why = describeError(error);
    if (!(error instanceof NobodyThere)) return this.#complain(`${socket}: ${why}`);
    // One that others start may come up in the same moment as we.
    const mayBeStarting = performance.now() - this.#aloneSince < this.#timings.othersStart;
    if (start) {
      if (start.supervised !== undefined && mayBeStarting) return;
      if (this.#mayStart()) await this.#start(start);
    } else if (!mayBeStarting) this.#complain(`nobody answers at ${socket}; start srv-epmd relay`);
  }

  #mayStart(): boolean {
    const { startAgain, longestDelay } = this.#timings;
    return performance.now() - this.#startedAt >= (this.#unanswered ? startAgain : longestDelay);
  }

  async #start({ program, env, supervised }: RelayStart): Promise<void> {
    const { socket, ports, log } = this.#options;
    if (this.#unanswered) this.#complain(`the relay process that was started does not answer at ${socket}`);
    this.#unanswered = true;
    this.#startedAt = performance.now();
    if (supervised !== undefined) {
      log.warn({ socket }, `no relay process answers: starting one, whose links will end with ${supervised}`);
    }
    // What it would say of this goes nowhere.
    const fault = await makePrivateFolder(dirname(socket));
    if (fault !== undefined) return this.#complain(fault);
    try {
      await startDetached(relayCommand(program, socket, ports), env);
    } catch (error) {
      this.#complain(`it cannot be started: ${describeError(error)}`);
    }
  }

  /** Once, not at each attempt. */
  #complain(what: string): void {
    if (this.#complaint === what) return;
    this.#complaint = what;
    this.#options.log.warn({ reason: what }, "no relay process");
  }
}
