import { describeError, ListenError } from "../core/errors.js";
import type { GatewayAddresses, HostAddress } from "../core/gateway/addresses.js";
import type { Logger } from "../logger.js";

export interface GatewayHostsOptions {
  readonly addresses: GatewayAddresses;
  /** Makes the EPMD listen at an address of the gateway. Rejects with a ListenError. */
  readonly listen: (address: string) => Promise<void>;
  readonly stopListening: (address: string) => void;
  /** A pair that somebody uses: the next daemon is to know it. */
  readonly onPair: (pair: HostAddress) => void;
  readonly log: Logger;
}

/** The hosts of the gateway: an address is given out once the EPMD listens there. */
export class GatewayHosts {
  readonly #options: GatewayHostsOptions;
  readonly #listening = new Map<string, Promise<string | undefined>>();
  /**
   * Addresses that DNS has given out and at which no VM has asked, the oldest first. Any program may look up ever new
   * names, and a search list does: these give way when there is room for no more.
   */
  readonly #unused = new Set<string>();
  #full = false;

  constructor(options: GatewayHostsOptions) {
    this.#options = options;
  }

  /** Those that somebody uses, or is to find here. */
  get pairs(): HostAddress[] {
    return this.#options.addresses.pairs().filter(({ address }) => !this.#unused.has(address));
  }

  /** Somebody asked at this address: the relay process keeps its host from now on. */
  markUsed(address: string): void {
    const host = this.#options.addresses.hostOf(address);
    if (host !== undefined && this.#unused.delete(address)) this.#options.onPair({ host, address });
  }

  /** The address that stands for a host; undefined when there is none for it, which the log explains. */
  addressFor(host: string): Promise<string | undefined> {
    const known = this.#listening.get(host);
    if (known) return known;
    const address = this.#choose(host).catch((error: unknown) => {
      this.#options.log.error({ host, err: error }, "no gateway address");
      return undefined;
    });
    this.#listening.set(host, address);
    address.then((chosen) => {
      // What cannot be now may be when it is asked for again.
      if (chosen === undefined) this.#listening.delete(host);
    });
    return address;
  }

  /** Hosts that have an address from the start. @throws ListenError when the range cannot be listened on */
  async preload(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) {
      const address = await this.#choose(host);
      if (address === undefined) continue;
      this.#listening.set(host, Promise.resolve(address));
      this.markUsed(address);
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
          "gateway address passed over: it stands for another host, is out of range, or there are too many",
        );
        continue;
      }
      this.#unused.delete(pair.address);
      try {
        await listen(pair.address);
        if (holder === undefined) onPair(pair);
      } catch (error) {
        // Another fault than that somebody has it, such as too many open files, passes; and links may lead there.
        if (isInUse(error)) addresses.exclude(pair.address);
        log.warn({ ...pair, from, reason: describeError(error) }, "gateway address passed over");
      }
    }
  }

  /** @throws ListenError when the addresses of the range cannot be listened on at all */
  async #choose(host: string): Promise<string | undefined> {
    const { addresses, listen, log } = this.#options;
    for (;;) {
      const known = addresses.addressOf(host);
      const address = known ?? addresses.assign(host);
      if (address === undefined) {
        if (this.#giveUpOldest()) continue;
        this.#tellFull(host);
        return undefined;
      }
      if (known === undefined) this.#unused.add(address);
      try {
        await listen(address);
        return address;
      } catch (error) {
        if (!isInUse(error)) throw error;
        this.#unused.delete(address);
        addresses.exclude(address);
        log.warn(
          { host, address, reason: error.message },
          "gateway address is taken; the next one stands for the host",
        );
      }
    }
  }

  /** @returns whether there was one */
  #giveUpOldest(): boolean {
    const { addresses, stopListening } = this.#options;
    const [oldest] = this.#unused;
    if (oldest === undefined) return false;
    this.#unused.delete(oldest);
    const host = addresses.forget(oldest);
    if (host !== undefined) this.#listening.delete(host);
    stopListening(oldest);
    return true;
  }

  #tellFull(host: string): void {
    if (this.#full) return;
    this.#full = true;
    this.#options.log.error(
      { host, hosts: this.#options.addresses.pairs().length },
      "no more gateway addresses: too many hosts are in use; narrow --gateway-domain, or raise the limit of open files",
    );
  }
}

function isInUse(error: unknown): error is ListenError {
  return error instanceof ListenError && error.code === "LISTEN_IN_USE";
}
