import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpPort, PortRange } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import { makePrivateFolder } from "../os/files.js";
import { Sampling } from "../sampling.js";
import { type RelayStart, relayCommand, startDetached } from "./autostart.js";
import {
  HangingRelayProcess,
  NoRelayProcess,
  openChannel,
  type RelayChannel,
  type RequestBody,
  UnusableFolder,
} from "./channel.js";
import { hangingRelay, notStarted, type RelayTrouble, silentRelay, unusableFolder } from "./core/trouble.js";
import type { CallerRefused, DialFailure, RelayEvent, Relayed, RelayReply } from "./wire/protocol.js";
import type { RelayStatus } from "./wire/status.js";
import { MAX_ENDPOINTS, type RelayTarget } from "./wire/target.js";

export interface RelayClientOptions {
  /** Path of the control socket. */
  readonly socket: string;
  /** Ports for a relay process that is started here. */
  readonly ports: PortRange;
  /** How to start a relay process when there is none; undefined: it is started elsewhere. */
  readonly start: RelayStart | undefined;
  /** Gets the pairs that the relay process remembers, at each connection; `ready` waits for its end. */
  readonly onPairs: (pairs: readonly HostAddress[]) => void | Promise<void>;
  /** Pairs that the relay process is to remember: it is sent them at each connection. */
  readonly ownPairs: () => readonly HostAddress[];
  readonly onDialFailed: (node: string, endpoint: IpPort, failure: DialFailure) => void;
  /** Tells a relay process what it has to know, at each connection; `ready` waits for its end. @returns why that failed */
  readonly onConnected?: (ask: AskRelay) => Promise<string | undefined>;
  readonly onCallerRefused?: (refusal: CallerRefused) => void;
  readonly log: Logger;
  readonly timings?: Partial<ClientTimings>;
}

/** Undefined: no relay process answers. */
export type AskRelay = (body: RequestBody) => Promise<RelayReply | undefined>;

export interface RelayClient {
  /** A request of a native end. Never rejects. */
  readonly ask: AskRelay;
  /** Asks for a relay to a node. Never rejects. */
  readonly ensure: (target: RelayTarget) => Promise<Relayed>;
  /** Makes the relay process remember a pair. Without a connection it gets the pair at the next one, through `ownPairs`. */
  readonly keep: (pair: HostAddress) => void;
  /** Undefined: no relay process answers, or `trouble` says why what it answers is of no use. */
  readonly status: () => Promise<RelayStatus | undefined>;
  /** Why there is no relay process, or no status of it, when that is known. */
  readonly trouble: () => RelayTrouble | undefined;
  /** Whether a relay process was connected soon after the start. */
  readonly ready: Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Milliseconds. */
interface ClientTimings {
  /** Limit for `ready`. */
  readonly ready: number;
  /** Limit for one request, with the wait for a connection: a VM waits for the answer. */
  readonly request: number;
  /** Between attempts to connect, the first and the longest. */
  readonly firstDelay: number;
  readonly longestDelay: number;
  /** A relay process that is started elsewhere may need this long. */
  readonly othersStart: number;
  /** A relay process that did not answer is started again after this time. */
  readonly startAgain: number;
  /** After a connection that lasted this long, the next attempt comes after `firstDelay`. */
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
  /** Milliseconds of performance.now(): the end of the last connection, and the last start of a relay process. */
  #aloneSince = performance.now();
  #startedAt = Number.NEGATIVE_INFINITY;
  /** The relay process that was started has not answered yet. */
  #unanswered = false;
  /** Why there is no relay process, as it was logged. */
  #complaint: RelayTrouble | undefined;
  /** Why the one that there is does not say how it is. */
  #statusFault: RelayTrouble | undefined;
  /** Of the relay process that is connected, or was given up because it did not answer. */
  #pid: number | undefined;
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

  readonly ask: AskRelay = async (body) => {
    const channel = await this.#connected(this.#timings.request);
    return channel?.request(body, this.#timings.request);
  };

  readonly ensure = async ({ node, address, endpoints, peer }: RelayTarget): Promise<Relayed> => {
    // Without the SRV data, which the protocol does not have.
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
          reason: `there is no relay process: ${this.#complaint?.reason ?? `nothing answers at ${this.#options.socket} yet`}`,
        };
      const reply = await channel.request(
        { type: "ensure", node, address, endpoints: targets, ...(peer && { peer }) },
        left(),
      );
      if (reply?.type === "ensured") return { outcome: "relayed", port: reply.port };
      if (reply?.type === "refused") return { outcome: "failed", reason: reply.reason };
      if (channel.isOpen()) return { outcome: "failed", reason: "the relay process does not answer" };
      // It ended meanwhile: ask the next one.
      if (this.#channel === channel) this.#channel = undefined;
    }
  };

  readonly keep = (pair: HostAddress): void => {
    if (!this.#channel) return;
    this.#channel.request({ type: "pair", ...pair }, this.#timings.request).then((reply) => {
      if (reply?.type !== "refused") return;
      this.#options.log.warn({ ...pair, error: reply.reason }, "the relay process does not remember a host's address");
    });
  };

  readonly trouble = (): RelayTrouble | undefined => {
    return this.#complaint ?? this.#statusFault;
  };

  readonly status = async (): Promise<RelayStatus | undefined> => {
    const channel = this.#channel;
    const { request: limit } = this.#timings;
    const reply = await channel?.request({ type: "status" }, limit);
    const fault = channel && statusFault(channel, reply, limit);
    if (fault !== undefined && fault.reason !== this.#statusFault?.reason)
      this.#tell("warn", { error: fault.reason }, "no status of the relay process");
    this.#statusFault = fault;
    return reply?.type === "status" ? reply.status : undefined;
  };

  readonly close = async (): Promise<void> => {
    this.#stopping.abort();
    this.#channel?.close();
    for (const wake of Array.from(this.#waiting)) wake();
    await this.#running;
  };

  /** Uses a connection until it ends. */
  async #serve(channel: RelayChannel): Promise<void> {
    const { onPairs, ownPairs, socket } = this.#options;
    try {
      await onPairs(channel.pairs);
    } catch (error) {
      channel.close();
      throw error;
    }
    const fault = await this.#options.onConnected?.((body) => channel.request(body, this.#timings.request));
    if (fault !== undefined) this.#complain(silentRelay(fault));
    if (this.#stopping.signal.aborted || fault !== undefined) return channel.close();
    this.#channel = channel;
    this.#pid = channel.pid;
    this.#complaint = undefined;
    this.#unanswered = false;
    this.#tell("info", { relay: channel.pid, socket }, "relay process connected");
    for (const pair of ownPairs()) this.keep(pair);
    for (const wake of Array.from(this.#waiting)) wake();
    const { error, isHanging } = await channel.closed;
    this.#channel = undefined;
    if (!isHanging) this.#pid = undefined;
    this.#aloneSince = performance.now();
    if (!this.#stopping.signal.aborted) this.#tell("warn", { relay: channel.pid, error }, "relay process lost");
  }

  /** Sampled: a relay process that breaks the protocol after its hello is lost and connected again and again. */
  #tell(level: "info" | "warn", what: object, message: string): void {
    const leftOut = this.#sampling.take(`${message} ${JSON.stringify(what)}`, performance.now());
    if (leftOut !== undefined) this.#options.log[level]({ ...what, ...(leftOut > 0 && { leftOut }) }, message);
  }

  #take(event: RelayEvent): void {
    const { onDialFailed } = this.#options;
    if (event.type === "dial-failed") onDialFailed(event.node, event.endpoint, event);
    if (event.type === "caller-refused") this.#options.onCallerRefused?.(event);
    if (event.type === "notice") this.#tell("warn", {}, `relay process: ${event.message}`);
  }

  /** Waits for a connection; undefined when the limit has passed. */
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
    if (error instanceof UnusableFolder) return this.#complain(unusableFolder(error.fault));
    const reason = `${socket}: ${describeError(error)}`;
    if (error instanceof HangingRelayProcess) return this.#complain(hangingRelay(reason, this.#pid));
    if (!(error instanceof NoRelayProcess)) return this.#complain(silentRelay(reason));
    this.#pid = undefined;
    // A relay process that is started elsewhere may start at the same time as we.
    const mayBeStarting = performance.now() - this.#aloneSince < this.#timings.othersStart;
    if (start) {
      if (start.supervised !== undefined && mayBeStarting) return;
      if (this.#mayStart()) await this.#start(start);
    } else if (!mayBeStarting) this.#complain(notStarted(socket));
  }

  #mayStart(): boolean {
    const { startAgain, longestDelay } = this.#timings;
    return performance.now() - this.#startedAt >= (this.#unanswered ? startAgain : longestDelay);
  }

  async #start({ program, env, supervised }: RelayStart): Promise<void> {
    const { socket, ports, log } = this.#options;
    if (this.#unanswered)
      this.#complain(silentRelay(`the relay process that was started does not answer at ${socket}`));
    this.#unanswered = true;
    this.#startedAt = performance.now();
    if (supervised !== undefined) {
      log.warn({ socket }, `no relay process answers: starting one, whose links will end with ${supervised}`);
    }
    // Its own complaint about the folder would be lost: its output is discarded.
    const fault = await makePrivateFolder(dirname(socket));
    if (fault !== undefined) return this.#complain(unusableFolder(fault));
    try {
      await startDetached(relayCommand(program, socket, ports), env);
    } catch (error) {
      this.#complain(silentRelay(`it cannot be started: ${describeError(error)}`));
    }
  }

  /** Logs once, not at each attempt. */
  #complain(trouble: RelayTrouble): void {
    if (this.#complaint?.reason === trouble.reason) return;
    this.#complaint = trouble;
    this.#options.log.warn({ error: trouble.reason }, "no relay process");
  }
}

/** Why a relay process that is connected does not say how it is; undefined: it does, or has ended meanwhile. */
function statusFault(
  { pid, isOpen }: RelayChannel,
  reply: RelayReply | undefined,
  limit: number,
): RelayTrouble | undefined {
  if (reply?.type === "refused") return silentRelay(reply.reason);
  if (reply || !isOpen()) return undefined;
  return hangingRelay(`process ${pid} has not answered for ${limit / 1_000} s`, pid);
}
