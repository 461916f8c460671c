import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import { ConnectError, describeError } from "../errors.js";
import { canonicalIp } from "../net/ip.js";
import { dial } from "./dial.js";
import { cutOff, Joined } from "./joined.js";
import type { LinkOptions, RelayLink } from "./link.js";

interface SecureLinkOptions extends LinkOptions {
  /** See NativeEnd.secure. */
  readonly secure: (far: Socket) => Promise<TLSSocket>;
}

/** The connection of a VM here together with mutual TLS to its peer, until both have ended. */
export class SecureLink implements RelayLink {
  readonly #near: Socket;
  readonly #options: SecureLinkOptions;
  #abandonDial: () => void = () => {};
  #joined: Joined | undefined;
  #isOver = false;

  /** @param near with allowHalfOpen, paused: it is read when the peer is there */
  constructor(near: Socket, options: SecureLinkOptions) {
    this.#near = near;
    this.#options = options;
    near.on("error", this.cut);
    near.once("close", this.#nearClosed);
    this.#dial(options.endpoints, performance.now() + options.timings.dial);
  }

  get bytesToNode(): number {
    return this.#joined?.bytesFromOne ?? 0;
  }

  get bytesFromNode(): number {
    return this.#joined?.bytesFromOther ?? 0;
  }

  get stalledSince(): number | undefined {
    return this.#joined?.stalledSince;
  }

  readonly cut = (): void => {
    this.#abandonDial();
    if (this.#joined) this.#joined.cut();
    else cutOff(this.#near);
  };

  /** @param until milliseconds of performance.now(), for all endpoints together */
  #dial(endpoints: readonly IpPort[], until: number): void {
    const { onDialFailed, timings, ...rest } = this.#options;
    this.#abandonDial = dial({
      ...{ ...rest, endpoints, onFailed: onDialFailed },
      timings: { ...timings, dial: Math.max(1, until - performance.now()) },
      onDone: (far) => (far ? void this.#secure(far, endpoints, until) : this.cut()),
    });
  }

  async #secure(far: Socket, endpoints: readonly IpPort[], until: number): Promise<void> {
    const { secure, onDialFailed, timings } = this.#options;
    // It may end while our certificate is waited for.
    far.on("error", () => {});
    const address = far.remoteAddress ?? "";
    const place: IpPort = { address: canonicalIp(address) ?? address, port: far.remotePort ?? 0 };
    try {
      const secured = await secure(far);
      if (this.#near.destroyed) {
        secured.destroy();
        return;
      }
      this.#near.off("close", this.#nearClosed);
      this.#joined = new Joined(this.#near, secured, { linger: timings.linger, onEnd: this.#end });
    } catch (error) {
      onDialFailed(place, { code: error instanceof ConnectError ? error.code : "TLS", reason: describeError(error) });
      if (this.#near.destroyed) return;
      // A relay process accepts every connection, whether the node is there or not: the next place may have it.
      const others = endpoints.filter(({ address, port }) => address !== place.address || port !== place.port);
      const hasTime = performance.now() < until;
      if (others.length === 0 || others.length === endpoints.length || !hasTime) this.cut();
      else this.#dial(others, until);
    }
  }

  readonly #nearClosed = (): void => {
    this.#abandonDial();
    this.#end();
  };

  readonly #end = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onEnd(this);
  };
}
