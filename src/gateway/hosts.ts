import type { Logger } from "../daemon/logger.js";
import { describeError, ListenError } from "../errors.js";
import type { GatewayAddresses, HostAddress } from "./core/addresses.js";

interface GatewayHostsOptions {
  readonly addresses: GatewayAddresses;
  /** Makes the EPMD listen at an address. Rejects with a ListenError. */
  readonly listen: (address: string) => Promise<void>;
  /** Resolves when the EPMD can listen at the address again. */
  readonly stopListening: (address: string) => Promise<void>;
  /** A pair that is in use: our successor has to know it. */
  readonly onPair: (pair: HostAddress) => void;
  /** Whether a node of the host is registered here. */
  readonly hasNodes: (pair: HostAddress) => boolean;
  /** Addresses with links of relays; undefined when these are not known. Never rejects. */
  readonly linked: () => Promise<ReadonlySet<string> | undefined>;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
  readonly log: Logger;
}

/** When all addresses are in use: how many hosts may keep one although no VM has asked the EPMD there yet. */
const MAX_UNASKED = 16;

/** Where a pair was known before: the relay process remembers it, or a line of /etc/hosts has it. */
type PairOrigin = "relay" | "/etc/hosts";

/** The hosts of the gateway: an address is answered once the EPMD listens there. */
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

  /** All pairs but those that only DNS has given out; the last used one last. */
  get pairs(): HostAddress[] {
    const { addresses } = this.#options;
    const rank = new Map(Array.from(this.#asked.keys(), (address, index) => [address, index]));
    return addresses
      .pairs()
      .filter(({ address }) => this.#asked.get(address) ?? true)
      .sort((a, b) => (rank.get(a.address) ?? -1) - (rank.get(b.address) ?? -1));
  }

  /** Marks the host of an address as used by an EPMD request: the relay process remembers the pair from now on. */
  markUsed(address: string): void {
    const host = this.#options.addresses.hostOf(address);
    if (host === undefined) return;
    const isFirst = this.#asked.get(address) === false;
    this.#touch(address, true);
    if (isFirst) this.#options.onPair({ host, address });
  }

  /** The address of a host; undefined when it cannot get one, which is logged. */
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
      // The next look-up tries again.
      if (chosen === undefined && this.#listening.get(host) === address) this.#listening.delete(host);
    });
    return address;
  }

  /** Gives the hosts of the configuration addresses, which they keep. @throws ListenError when the EPMD cannot listen in the range */
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
   * Adds pairs that are known already; of those of the relay process the last used one comes last. Those that cannot be
   * added are logged. Pairs of /etc/hosts are never given up, until a later call finds them gone from there.
   */
  async know(pairs: readonly HostAddress[], from: PairOrigin): Promise<void> {
    const { addresses, log } = this.#options;
    const isWritten = from === "/etc/hosts";
    if (isWritten) this.#dropWritten(pairs);
    const unknown = pairs.filter(({ address }) => addresses.hostOf(address) === undefined);
    const tooMany = isWritten ? 0 : Math.max(0, unknown.length - addresses.room);
    const leftOut = new Set(unknown.slice(0, tooMany));
    if (tooMany > 0) log.warn({ from, hosts: tooMany, reason: "full" }, "gateway addresses are not used");
    for (const pair of pairs) {
      if (leftOut.has(pair)) continue;
      const holder = addresses.hostOf(pair.address);
      let added = addresses.add(pair);
      if (!added && isWritten && addresses.room === 0) added = await this.#addInPlaceOfAnother(pair);
      if (added) await this.#listenAt(pair, holder === undefined, from);
      else log.warn({ ...pair, from, ...this.#whyNot(pair) }, "gateway address is not used");
    }
  }

  #whyNot({ host, address }: HostAddress): { reason: string; holder?: string } {
    const { addresses } = this.#options;
    const holder = addresses.hostOf(address);
    if (holder !== undefined && holder !== host) return { reason: "other-host", holder };
    return { reason: addresses.contains(address) ? "full" : "out-of-range" };
  }

  /** Hosts whose line is no longer in /etc/hosts become hosts like any other. */
  #dropWritten(pairs: readonly HostAddress[]): void {
    const lines = new Set(pairs.map(({ host, address }) => `${address} ${host}`));
    for (const address of this.#written) {
      if (!lines.has(`${address} ${this.#options.addresses.hostOf(address)}`)) this.#written.delete(address);
    }
  }

  async #listenAt(pair: HostAddress, isNew: boolean, from: PairOrigin): Promise<void> {
    const { listen, onPair, log } = this.#options;
    if (from === "/etc/hosts") this.#written.add(pair.address);
    this.#touch(pair.address, true);
    try {
      await listen(pair.address);
      if (isNew) onPair(pair);
    } catch (error) {
      // Other faults, such as too many open files, pass; and links may use the address.
      if (isInUse(error)) this.#exclude(pair.address);
      log.warn({ ...pair, from, error: describeError(error) }, "gateway address is not used");
    }
  }

  /** @throws ListenError when the EPMD cannot listen in the range */
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
        log.warn({ host, address, error: error.message }, "gateway address is taken; the host gets the next one");
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

  /** Another program listens at the address. */
  #exclude(address: string): void {
    const { addresses, now } = this.#options;
    this.#asked.delete(address);
    this.#configured.delete(address);
    this.#written.delete(address);
    addresses.exclude(address, now());
  }

  /**
   * Gives up the address that was used longest ago, of those without nodes and links: a new host gets one even while
   * one user asks at all of them. When too many addresses were only looked up in DNS, the oldest of these goes first:
   * any program can look up many names, and a search list makes more. But an address that was only looked up may be that
   * of a VM which is about to ask, so some of these are kept.
   * @returns false: none can be given up
   */
  async #giveUpOldest(): Promise<boolean> {
    const { addresses, stopListening } = this.#options;
    const quota = Math.max(1, Math.min(MAX_UNASKED, addresses.size >> 3));
    const unasked = this.#unasked();
    const oldest = unasked.length > quota ? unasked[0] : ((await this.#oldestIdle()) ?? this.#unasked()[0]);
    if (oldest === undefined) return false;
    this.#asked.delete(oldest);
    const host = addresses.forget(oldest);
    if (host !== undefined) this.#listening.delete(host);
    await stopListening(oldest);
    return true;
  }

  /** Addresses that only DNS has given out, the oldest first. */
  #unasked(): string[] {
    return Array.from(this.#asked.keys()).filter((address) => !this.#asked.get(address) && !this.#stays(address));
  }

  #stays(address: string): boolean {
    return this.#configured.has(address) || this.#written.has(address);
  }

  /** Of the addresses where the EPMD was asked, the oldest without nodes and links. */
  async #oldestIdle(): Promise<string | undefined> {
    const { addresses, hasNodes, linked } = this.#options;
    const hasNone = ([address, asked]: readonly [string, boolean]) => {
      const host = addresses.hostOf(address);
      return asked && host !== undefined && !this.#stays(address) && !hasNodes({ host, address });
    };
    if (!Array.from(this.#asked).some(hasNone)) return undefined;
    const busy = await linked();
    // Without the relay process any address may have links.
    return busy && Array.from(this.#asked).find((entry) => hasNone(entry) && !busy.has(entry[0]))?.[0];
  }

  #tellFull(host: string): void {
    if (this.#full) return;
    this.#full = true;
    this.#options.log.error(
      { host, hosts: this.#options.addresses.size },
      "no gateway address is free: too many hosts are in use; narrow --gateway-domain, or raise the limit of open files",
    );
  }
}

function isInUse(error: unknown): error is ListenError {
  return error instanceof ListenError && error.code === "LISTEN_IN_USE";
}
