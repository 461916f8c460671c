import { createServer, type Server, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { SilentAddresses } from "../net/endpoint.js";
import { canonicalIp, isLoopback } from "../net/ip.js";
import type { SpareDescriptors } from "./dial.js";
import type { RelayTimings } from "./limits.js";
import { Link, type LinkOptions, type RelayLink } from "./link.js";
import type { MakeSecure } from "./native-end.js";
import { SecureLink } from "./secure-link.js";
import type { DialFailure } from "./wire/protocol.js";
import type { RelayState } from "./wire/status.js";
import type { RelayTarget } from "./wire/target.js";

const BACKLOG = 1024;

interface RelayOptions {
  readonly timings: RelayTimings;
  /** Shared by all relays of the process. */
  readonly silent: SilentAddresses;
  readonly spare: SpareDescriptors;
  /** Whether there is room for a further link; counts it. */
  readonly admit: () => boolean;
  readonly secure: MakeSecure;
  readonly onDialFailed: (endpoint: IpPort, failure: DialFailure) => void;
  readonly onLinkEnd: () => void;
  /** The listening socket has failed. */
  readonly onError: (error: Error) => void;
}

/** A listener through which a node is reached, and its links. */
export class Relay {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<RelayLink>();
  readonly #options: RelayOptions;
  readonly #since = Date.now();
  #target: RelayTarget;
  #past = { links: 0, bytesToNode: 0, bytesFromNode: 0 };
  /** When a daemon last asked for it; milliseconds of performance.now(). */
  ensuredAt = performance.now();

  private constructor(target: RelayTarget, port: number, options: RelayOptions) {
    this.#target = target;
    this.port = port;
    this.#options = options;
    const { keepAlive } = options.timings;
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAlive },
      (near) => this.#accept(near),
    );
  }

  /** @throws the error of the system */
  static open(target: RelayTarget, port: number, options: RelayOptions): Promise<Relay> {
    const relay = new Relay(target, port, options);
    const server = relay.#server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: target.address, port, backlog: BACKLOG }, () => {
        server.off("error", reject);
        server.on("error", options.onError);
        resolve(relay);
      });
    });
  }

  get target(): RelayTarget {
    return this.#target;
  }

  get links(): ReadonlySet<RelayLink> {
    return this.#links;
  }

  get state(): RelayState {
    const open = Array.from(this.#links);
    return {
      ...this.#target,
      port: this.port,
      since: this.#since,
      openLinks: open.length,
      links: this.#past.links + open.length,
      bytesToNode: open.reduce((sum, link) => sum + link.bytesToNode, this.#past.bytesToNode),
      bytesFromNode: open.reduce((sum, link) => sum + link.bytesFromNode, this.#past.bytesFromNode),
    };
  }

  /** New links go to these endpoints; open links stay. */
  retarget(target: RelayTarget): void {
    this.#target = target;
    this.ensuredAt = performance.now();
  }

  /** Stops listening and cuts the links. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#links) link.cut();
    await closed;
  }

  #link(near: Socket, options: LinkOptions): RelayLink {
    const { node, peer } = this.#target;
    if (!peer) return new Link(near, options);
    return new SecureLink(near, { ...options, secure: (far) => this.#options.secure(far, node, peer) });
  }

  #accept(near: Socket): void {
    // With net.ipv4.conf.*.route_localnet other machines reach loopback addresses.
    const isFromHere = isLoopback(canonicalIp(near.remoteAddress ?? "") ?? "");
    if (!isFromHere || !this.#options.admit()) {
      near.on("error", () => {});
      near.resetAndDestroy();
      return;
    }
    const { timings, silent, spare, onDialFailed } = this.#options;
    const onEnd = (link: RelayLink) => {
      this.#links.delete(link);
      this.#past.links += 1;
      this.#past.bytesToNode += link.bytesToNode;
      this.#past.bytesFromNode += link.bytesFromNode;
      this.#options.onLinkEnd();
    };
    this.#links.add(
      this.#link(near, { endpoints: this.#target.endpoints, silent, spare, timings, onDialFailed, onEnd }),
    );
  }
}
