import { describeError, ListenError } from "../core/errors.js";
import type { GatewayAddresses, HostAddress } from "../core/gateway/addresses.js";
import type { Logger } from "../logger.js";

export interface GatewayHostsOptions {
  readonly addresses: GatewayAddresses;
  /** Makes the EPMD listen at an address of the gateway. Rejects with a ListenError. */
  readonly listen: (address: string) => Promise<void>;
  /** A pair is new: the next daemon is to know it. */
  readonly onPair: (pair: HostAddress) => void;
  readonly log: Logger;
}

/** The hosts of the gateway: an address is given out once the EPMD listens there. */
export class GatewayHosts {
  readonly #options: GatewayHostsOptions;
  readonly #listening = new Map<string, Promise<string | undefined>>();
  #full = false;

  constructor(options: GatewayHostsOptions) {
    this.#options = options;
  }

  /** The address that stands for a host; undefined when there is none for it, which the log explains. */
  addressFor(host: string): Promise<string | undefined> {
    const known = this.#listening.get(host);
    if (known) return known;
    const address = this.#choose(host).catch((error: unknown) => {
      this.#listening.delete(host);
      this.#options.log.error({ host, err: error }, "no gateway address");
      return undefined;
    });
    this.#listening.set(host, address);
    return address;
  }

  /** Hosts that have an address from the start. @throws ListenError when the range cannot be listened on */
  async preload(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) {
      const address = await this.#choose(host);
      if (address !== undefined) this.#listening.set(host, Promise.resolve(address));
    }
  }

  /** Pairs that others know already: the relay process, /etc/hosts. Those that cannot be are logged. */
  async know(pairs: readonly HostAddress[], from: string): Promise<void> {
    const { addresses, listen, onPair, log } = this.#options;
    for (const pair of pairs) {
      const holder = addresses.hostOf(pair.address);
      if (!addresses.add(pair)) {
        log.warn(
          { ...pair, holder, from },
          "gateway address passed over: it stands for another host, or is out of range",
        );
        continue;
      }
      try {
        await listen(pair.address);
        onPair(pair);
      } catch (error) {
        addresses.exclude(pair.address);
        log.warn({ ...pair, from, reason: describeError(error) }, "gateway address passed over");
      }
    }
  }

  /** @throws ListenError when the addresses of the range cannot be listened on at all */
  async #choose(host: string): Promise<string | undefined> {
    const { addresses, listen, onPair, log } = this.#options;
    for (;;) {
      const address = addresses.assign(host);
      if (address === undefined) {
        this.#tellFull(host);
        this.#listening.delete(host);
        return undefined;
      }
      try {
        await listen(address);
        onPair({ host, address });
        return address;
      } catch (error) {
        addresses.exclude(address);
        if (!(error instanceof ListenError) || error.code !== "LISTEN_IN_USE") throw error;
        log.warn(
          { host, address, reason: error.message },
          "gateway address is taken; the next one stands for the host",
        );
      }
    }
  }

  #tellFull(host: string): void {
    if (this.#full) return;
    this.#full = true;
    this.#options.log.error(
      { host, hosts: this.#options.addresses.pairs().length },
      "no more gateway addresses: too many hosts were asked for; narrow --gateway-domain",
    );
  }
}
