import type { Logger } from "../daemon/logger.js";
import { describeError, ListenError } from "../errors.js";
import type { GatewayAddresses, HostAddress } from "./core/addresses.js";

export interface GatewayHostsOptions {
  readonly addresses: GatewayAddresses;
  /** Makes the EPMD listen at an address of the gateway. Rejects with a ListenError. */
  readonly listen: (address: string) => Promise<void>;
  /** Resolves when the address can be listened on again. */
  readonly stopListening: (address: string) => Promise<void>;
  /** A pair that somebody uses: the next daemon is to know it. */
  readonly onPair: (pair: HostAddress) => void;
  /** A node of the host is registered here. */
  readonly hasNodes: (pair: HostAddress) => boolean;
  /** Addresses with links; undefined when it is not known which these are. Never rejects. */
  readonly linked: () => Promise<ReadonlySet<string> | undefined>;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
  readonly log: Logger;
}

/** The hosts of the gateway: an address is given out once the EPMD listens there. */
export class GatewayHosts {
  readonly #options: GatewayHostsOptions;
  readonly #listening = new Map<string, Promise<string | undefined>>();
  /**
   * Addresses in the order of their last use, and whether a VM has asked the EPMD there; else DNS alone has given it out.
   * When there is room for no more hosts, the first of the latter gives way (any program may look up ever new names, and a
   * search list does), else the first without nodes and links: however fast one user asks at all of them, a new host gets
   * an address.
   */
  readonly #asked = new Map<string, boolean>();
  /** Those of the configuration and of /etc/hosts stay. */
  readonly #permanent = new Set<string>();
  #full = false;

  constructor(options: GatewayHostsOptions) {
    this.#options = options;
  }

  /** Those that somebody uses, or is to find here; the last used one last. */
  get pairs(): HostAddress[] {
    const { addresses } = this.#options;
    const rank = new Map(Array.from(this.#asked.keys(), (address, index) => [address, index]));
    return addresses
      .pairs()
      .filter(({ address }) => this.#asked.get(address) ?? true)
      .sort((a, b) => (rank.get(a.address) ?? -1) - (rank.get(b.address) ?? -1));
  }

  /** Somebody asked at this address: the relay process keeps its host from now on. */
  markUsed(address: string): void {
    const host = this.#options.addresses.hostOf(address);
    if (host === undefined) return;
    const isFirst = this.#asked.get(address) === false;
    this.#touch(address, true);
    if (isFirst) this.#options.onPair({ host, address });
  }

  /** The address that stands for a host; undefined when there is none for it, which the log explains. */
  addressFor(host: string): Promise<string | undefined> {
    const known = this.#listening.get(host);
    if (known) {
      const address = this.#options.addresses.addressOf(host);
      if (address !== undefined) this.#touch(address, false);
      return known;
    }
    const address = this.#choose(host).catch((error: unknown) => {
      this.#options.log.error({ host, err: error }, "no gateway address");
      return undefined;
    });
    this.#listening.set(host, address);
    address.then((chosen) => {
      // What cannot be now may be when it is asked for again.
      if (chosen === undefined && this.#listening.get(host) === address) this.#listening.delete(host);
    });
    return address;
  }

  /** Hosts that have an address from the start, and keep it. @throws ListenError when the range cannot be listened on */
  async preload(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) {
      const address = await this.#choose(host);
      if (address === undefined) continue;
      this.#listening.set(host, Promise.resolve(address));
      this.#permanent.add(address);
      this.markUsed(address);
    }
  }

  /**
   * Pairs that others know already: the relay process (the last used one last), /etc/hosts. Those that cannot be are logged.
   * @param permanent they stay, whether they are used or not
   */
  async know(pairs: readonly HostAddress[], from: string, permanent = false): Promise<void> {
    const { addresses, log } = this.#options;
    const unknown = pairs.filter(({ address }) => addresses.hostOf(address) === undefined);
    const left = permanent ? 0 : Math.max(0, unknown.length - addresses.room);
    const leftOut = new Set(unknown.slice(0, left));
    if (left > 0) log.warn({ from, hosts: left }, "gateway addresses passed over: there are too many");
    for (const pair of pairs) {
      if (leftOut.has(pair)) continue;
      const holder = addresses.hostOf(pair.address);
      let added = addresses.add(pair);
      if (!added && permanent && addresses.room === 0) added = (await this.#giveUpOldest()) && addresses.add(pair);
      if (added) await this.#listenAt(pair, holder === undefined, from, permanent);
      else {
        log.warn(
          { ...pair, holder, from },
          "gateway address passed over: it stands for another host, is out of range, or there are too many",
        );
      }
    }
  }

  async #listenAt(pair: HostAddress, isNew: boolean, from: string, permanent: boolean): Promise<void> {
    const { listen, onPair, log } = this.#options;
    if (permanent) this.#permanent.add(pair.address);
    this.#touch(pair.address, true);
    try {
      await listen(pair.address);
      if (isNew) onPair(pair);
    } catch (error) {
      // Another fault than that somebody has it, such as too many open files, passes; and links may lead there.
      if (isInUse(error)) this.#exclude(pair.address);
      log.warn({ ...pair, from, reason: describeError(error) }, "gateway address passed over");
    }
  }

  /** @throws ListenError when the addresses of the range cannot be listened on at all */
  async #choose(host: string): Promise<string | undefined> {
    const { addresses, listen, now, log } = this.#options;
    for (;;) {
      const known = addresses.addressOf(host);
      const address = known ?? addresses.assign(host, now());
      if (address === undefined) {
        if (await this.#giveUpOldest()) continue;
        this.#tellFull(host);
        return undefined;
      }
      if (known === undefined) this.#touch(address, false);
      try {
        await listen(address);
        this.#full = false;
        return address;
      } catch (error) {
        if (!isInUse(error)) throw error;
        this.#exclude(address);
        log.warn(
          { host, address, reason: error.message },
          "gateway address is taken; the next one stands for the host",
        );
      }
    }
  }

  #touch(address: string, asked: boolean): void {
    const before = this.#asked.get(address) ?? false;
    this.#asked.delete(address);
    this.#asked.set(address, asked || before);
  }

  /** Another program has the address. */
  #exclude(address: string): void {
    const { addresses, now } = this.#options;
    this.#asked.delete(address);
    this.#permanent.delete(address);
    addresses.exclude(address, now());
  }

  /** @returns whether there was one */
  async #giveUpOldest(): Promise<boolean> {
    const { addresses, stopListening } = this.#options;
    const oldest = this.#oldestUnasked() ?? (await this.#oldestUnused());
    if (oldest === undefined) return false;
    this.#asked.delete(oldest);
    const host = addresses.forget(oldest);
    if (host !== undefined) this.#listening.delete(host);
    await stopListening(oldest);
    return true;
  }

  #oldestUnasked(): string | undefined {
    for (const [address, asked] of this.#asked) if (!asked && !this.#permanent.has(address)) return address;
    return undefined;
  }

  async #oldestUnused(): Promise<string | undefined> {
    const { addresses, hasNodes, linked } = this.#options;
    const hasNone = (address: string) => {
      const host = addresses.hostOf(address);
      return host !== undefined && !this.#permanent.has(address) && !hasNodes({ host, address });
    };
    if (!Array.from(this.#asked.keys()).some(hasNone)) return undefined;
    const busy = await linked();
    // Where it is not known who has links, everybody may have.
    return busy && Array.from(this.#asked.keys()).find((address) => hasNone(address) && !busy.has(address));
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
