import type { IpPort, PortRange } from "../config/network-values.js";
import { describeError } from "../errors.js";
import { SilentAddresses } from "../net/endpoint.js";
import { hostPort, isLoopback } from "../net/ip.js";
import { MAX_RELAYS, type RelayTimings } from "./limits.js";
import type { MakeSecure } from "./native-end.js";
import { Relay } from "./relay.js";
import type { DialFailure, Relayed } from "./wire/protocol.js";
import type { RelayState, RelayStatus } from "./wire/status.js";
import type { RelayTarget } from "./wire/target.js";

interface RelaysOptions {
  readonly ports: PortRange;
  /** The most listeners. */
  readonly limit: number;
  /** Descriptors that listeners (one each), links (two each) and further connection attempts may take together. */
  readonly descriptors: number;
  readonly timings: RelayTimings;
  readonly secure: MakeSecure;
  readonly onDialFailed: (node: string, endpoint: IpPort, failure: DialFailure) => void;
  /** A warning for the log; of each kind at most one in 30 s. */
  readonly onNotice: (message: string) => void;
}

/** Between two notices of the same kind, milliseconds. */
const NOTICE_INTERVAL = 30_000;
const OPEN_FILES = "the relay process has as many files open as it may (LimitNOFILE of its unit, ulimit -n)";

/** All relays of the process, by address and node. */
export class Relays {
  readonly #options: RelaysOptions;
  readonly #relays = new Map<string, Relay>();
  readonly #opening = new Map<string, Promise<Relayed>>();
  /** The next port of each address. Ports are given in turn, so that a port is not given to another node soon. */
  readonly #nextPort = new Map<string, number>();
  /** Totals of closed relays. */
  readonly #past = { links: 0, bytesToNode: 0, bytesFromNode: 0 };
  readonly #silent = new SilentAddresses();
  #dialsFailed = 0;
  #linksRefused = 0;
  readonly #noticed = new Map<string, number>();
  #openLinks = 0;
  /** Of a native end, that are not let in yet. */
  #callers = 0;
  /** Connection attempts beside the first of their link. */
  #furtherAttempts = 0;
  #closed = false;

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  get openLinks(): number {
    return this.#openLinks;
  }

  /** Makes a listener for the node on the address, or gives the present one these endpoints. */
  async ensure(target: RelayTarget): Promise<Relayed> {
    const key = `${target.address} ${target.node}`;
    const refusal = this.#refusal(target);
    if (refusal !== undefined) return { outcome: "failed", reason: refusal };
    // Two daemons may ask at the same time: they get one listener, with the endpoints of the later request.
    await this.#opening.get(key);
    const relay = this.#relays.get(key);
    if (relay) {
      relay.retarget(target);
      return { outcome: "relayed", port: relay.port };
    }
    const opening = this.#opening.get(key) ?? this.#open(key, target);
    this.#opening.set(key, opening);
    return opening.finally(() => this.#opening.delete(key));
  }

  get states(): RelayState[] {
    return Array.from(this.#relays.values(), (relay) => relay.state);
  }

  get totals(): RelayStatus["totals"] {
    const { states } = this;
    const sum = (key: "links" | "bytesToNode" | "bytesFromNode") =>
      states.reduce((total, state) => total + state[key], this.#past[key]);
    return {
      openLinks: states.reduce((total, state) => total + state.openLinks, 0),
      links: sum("links"),
      bytesToNode: sum("bytesToNode"),
      bytesFromNode: sum("bytesFromNode"),
      dialsFailed: this.#dialsFailed,
      linksRefused: this.#linksRefused,
    };
  }

  /** Closes idle listeners, and cuts links that have stalled. */
  sweep(): void {
    const { idleListener, stall } = this.#options.timings;
    const now = performance.now();
    for (const [key, relay] of this.#relays) {
      for (const link of relay.links) {
        if (link.stalledSince !== undefined && now - link.stalledSince > stall) link.cut();
      }
      if (relay.links.size > 0 || now - relay.ensuredAt <= idleListener) continue;
      this.#relays.delete(key);
      const { links, bytesToNode, bytesFromNode } = relay.state;
      this.#past.links += links;
      this.#past.bytesToNode += bytesToNode;
      this.#past.bytesFromNode += bytesFromNode;
      void relay.close();
    }
  }

  /** Cuts every link. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#opening.values());
    const relays = Array.from(this.#relays.values());
    this.#relays.clear();
    await Promise.all(relays.map((relay) => relay.close()));
  }

  #refusal({ address, endpoints }: RelayTarget): string | undefined {
    if (this.#closed) return "the relay process is stopping";
    if (!isLoopback(address)) return `${address} is not a loopback address`;
    for (const { target, port } of this.#relays.values()) {
      const own = endpoints.find((endpoint) => endpoint.port === port && endpoint.address === target.address);
      if (own) return `${hostPort(own.address, own.port)} is a relay itself: a connection would come back to it`;
    }
    return undefined;
  }

  async #open(key: string, target: RelayTarget): Promise<Relayed> {
    const { limit } = this.#options;
    // Each listener that is being opened counts.
    if (this.#relays.size + this.#opening.size >= limit)
      return this.#full("listeners", `all ${limit} relays are in use`);
    if (this.#descriptorsLeft() < 1) return this.#full("files", OPEN_FILES);
    try {
      const relay = await this.#listen(target);
      if (!relay) return this.#full("ports", `every relay port of ${target.address} is in use`);
      this.#relays.set(key, relay);
      return { outcome: "relayed", port: relay.port };
    } catch (error) {
      return { outcome: "failed", reason: `cannot listen on ${target.address}: ${describeError(error)}` };
    }
  }

  /** Undefined: every port is in use. @throws the error of the system */
  async #listen(target: RelayTarget): Promise<Relay | undefined> {
    const { low, high } = this.#options.ports;
    const count = high - low + 1;
    for (let tries = 0; tries < count; tries++) {
      // The first port is random: a new process must not give the ports of its predecessor to other nodes.
      const port = this.#nextPort.get(target.address) ?? low + Math.floor(Math.random() * count);
      this.#nextPort.set(target.address, port === high ? low : port + 1);
      try {
        return await Relay.open(target, port, this.#relayOptions(target.node));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      }
    }
    return undefined;
  }

  #relayOptions(node: string) {
    const { timings, secure, onDialFailed, onNotice } = this.#options;
    return {
      timings,
      secure,
      silent: this.#silent,
      spare: {
        take: () => this.#admitAttempt(),
        give: () => {
          this.#furtherAttempts -= 1;
        },
      },
      admit: () => this.admit(),
      onDialFailed: (endpoint: IpPort, failure: DialFailure) => {
        this.#dialsFailed += 1;
        onDialFailed(node, endpoint, failure);
      },
      onLinkEnd: () => this.linkEnded(),
      onError: (error: Error) => onNotice(`the listener for ${node} failed: ${describeError(error)}`),
    };
  }

  /** A link has ended that was admitted. */
  linkEnded(): void {
    this.#openLinks -= 1;
  }

  /** Whether there are descriptors for so many callers that are not let in yet; counts them. */
  hasRoomFor(callers: number): boolean {
    this.#callers = callers;
    return this.#descriptorsLeft() >= 0;
  }

  /** Whether there are descriptors for a further link; counts it. */
  admit(): boolean {
    if (this.#descriptorsLeft() < 2) {
      this.#linksRefused += 1;
      this.#notice("files", `connection closed: ${OPEN_FILES}`);
      return false;
    }
    this.#openLinks += 1;
    return true;
  }

  /** A quarter is kept for links and listeners, and no more than these may need: a further attempt only saves time. */
  #admitAttempt(): boolean {
    const kept = Math.min(this.#options.descriptors / 4, MAX_RELAYS);
    const admitted = this.#descriptorsLeft() > kept;
    if (admitted) this.#furtherAttempts += 1;
    return admitted;
  }

  #descriptorsLeft(): number {
    const listeners = this.#relays.size + this.#opening.size;
    return this.#options.descriptors - listeners - 2 * this.#openLinks - this.#furtherAttempts - this.#callers;
  }

  #full(kind: string, reason: string): Relayed {
    this.#notice(kind, `no further relay: ${reason}`);
    return { outcome: "failed", reason };
  }

  #notice(kind: string, message: string): void {
    const now = performance.now();
    if (now - (this.#noticed.get(kind) ?? Number.NEGATIVE_INFINITY) < NOTICE_INTERVAL) return;
    this.#noticed.set(kind, now);
    this.#options.onNotice(message);
  }
}
