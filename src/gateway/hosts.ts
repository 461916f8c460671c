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

/** Most hosts that DNS has given out and that nobody has asked the EPMD for, once there is no room for further hosts. */
const MAX_UNASKED = 16;

/** The hosts of the gateway: an address is given out once the EPMD listens there. */
export class GatewayHosts {
  readonly #options: GatewayHostsOptions;
  readonly #listening = new Map<string, Promise<string | undefined>>();
  /** Addresses in the order of their last use. True: a VM has asked the EPMD there; false: only DNS has given it out. */
  readonly #asked = new Map<string, boolean>();
  /** Addresses of the hosts of the configuration, and of those in /etc/hosts: they are never given up. */
  readonly #configured = new Set<string>();
  readonly #written = new Set<string>();
  /** Addresses are given up one after the other: each decision sees what the one before it did. */
  #givingUp: Promise<unknown> = Promise.resolve();
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
      this.#configured.add(address);
      this.markUsed(address);
    }
  }

  /**
   * Pairs that others know already: the relay process (the last used one last), /etc/hosts. Those that cannot be are logged.
   * @param permanent they are never given up
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
      if (!added && permanent && addresses.room === 0) added = await this.#addInPlaceOfAnother(pair);
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
    if (permanent) this.#written.add(pair.address);
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
    const { addresses, listen, log } = this.#options;
    for (;;) {
      const address = this.#assign(host) ?? (await this.#assignInPlaceOfAnother(host));
      if (address === undefined) {
        this.#tellFull(host);
        return undefined;
      }
      try {
        await listen(address);
        // It may have been given up meanwhile, and stand for another host.
        if (addresses.hostOf(address) !== host) continue;
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

  #assign(host: string): string | undefined {
    const { addresses, now } = this.#options;
    const known = addresses.addressOf(host);
    const address = known ?? addresses.assign(host, now());
    if (address !== undefined && known === undefined) this.#touch(address, false);
    return address;
  }

  /** Undefined: no address can be given up. */
  #assignInPlaceOfAnother(host: string): Promise<string | undefined> {
    return this.#oneByOne(async () => {
      for (;;) {
        const address = this.#assign(host);
        if (address !== undefined || !(await this.#giveUpOldest())) return address;
      }
    });
  }

  #addInPlaceOfAnother(pair: HostAddress): Promise<boolean> {
    return this.#oneByOne(async () => (await this.#giveUpOldest()) && this.#options.addresses.add(pair));
  }

  #oneByOne<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#givingUp.then(step);
    this.#givingUp = result.catch(() => {});
    return result;
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
    this.#configured.delete(address);
    this.#written.delete(address);
    addresses.exclude(address, now());
  }

  /**
   * Gives up the address that was used longest ago, of a host without nodes and links: however fast one user asks at all
   * addresses, a new host gets one. Hosts that nobody has asked the EPMD for go first only where they are too many. Any
   * program may look up ever new names, and a search list does; but a host is among them until its VM has asked.
   * @returns whether there was one
   */
  async #giveUpOldest(): Promise<boolean> {
    const { addresses, stopListening } = this.#options;
    const quota = Math.max(1, Math.min(MAX_UNASKED, addresses.pairs().length >> 3));
    const oldest =
      this.#unasked().length > quota ? this.#unasked()[0] : ((await this.#oldestUnused()) ?? this.#unasked()[0]);
    if (oldest === undefined) return false;
    this.#asked.delete(oldest);
    const host = addresses.forget(oldest);
    if (host !== undefined) this.#listening.delete(host);
    await stopListening(oldest);
    return true;
  }

  /** Those that may be given up, the oldest first. */
  #unasked(): string[] {
    return Array.from(this.#asked.keys()).filter((address) => !this.#asked.get(address) && !this.#stays(address));
  }

  #stays(address: string): boolean {
    return this.#configured.has(address) || this.#written.has(address);
  }

  /** Of those that the EPMD was asked at, the first without nodes and links. */
  async #oldestUnused(): Promise<string | undefined> {
    const { addresses, hasNodes, linked } = this.#options;
    const hasNone = ([address, asked]: readonly [string, boolean]) => {
      const host = addresses.hostOf(address);
      return asked && host !== undefined && !this.#stays(address) && !hasNodes({ host, address });
    };
    if (!Array.from(this.#asked).some(hasNone)) return undefined;
    const busy = await linked();
    // Where it is not known which addresses have links, all may have some.
    return busy && Array.from(this.#asked).find((entry) => hasNone(entry) && !busy.has(entry[0]))?.[0];
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
