import { Buffer } from "node:buffer";
import { type Cidr, cidrContains, formatIp } from "../../net/ip.js";
import { fnv1a } from "../../text.js";

/** A host and the loopback address that stands for it. */
export interface HostAddress {
  /** Lower case, without trailing dot. */
  readonly host: string;
  /** Canonical IPv4 literal inside the range. */
  readonly address: string;
}

/** Each host has a listener of the EPMD: whoever asks for ever new names must not use up all descriptors. */
const MAX_HOSTS = 1024;
const MIN_HOSTS = 16;
/** How long an address is not chosen that another program has, milliseconds. */
const TAKEN = 600_000;

/** How many hosts there may be. @param openFiles limit of open files; undefined: none */
export function hostLimit(openFiles: number | undefined): number {
  return Math.max(MIN_HOSTS, Math.min(MAX_HOSTS, Math.floor((openFiles ?? Number.POSITIVE_INFINITY) / 8)));
}

/**
 * Which loopback address stands for which host. An address is derived from the host's name, so that all who derive it
 * agree; on a collision the next free one is taken.
 */
export class GatewayAddresses {
  readonly #range: Cidr;
  readonly #limit: number;
  readonly #addresses = new Map<string, string>();
  readonly #hosts = new Map<string, string>();
  /** Until when an address is not chosen because another program has it. */
  readonly #taken = new Map<string, number>();

  /** @param limit most hosts */
  constructor(range: Cidr, limit = MAX_HOSTS) {
    this.#range = range;
    this.#limit = limit;
  }

  /** How many more addresses there may be. */
  get room(): number {
    return this.#limit - this.#hosts.size;
  }

  contains(address: string): boolean {
    return cidrContains(this.#range, address);
  }

  addressOf(host: string): string | undefined {
    return this.#addresses.get(host);
  }

  hostOf(address: string): string | undefined {
    return this.#hosts.get(address);
  }

  pairs(): HostAddress[] {
    return Array.from(this.#hosts, ([address, host]) => ({ host, address }));
  }

  /**
   * Takes over a pair that others know already. A host may have several addresses: the first stays the one that is
   * given out. False when the address is outside the range or stands for another host.
   */
  add({ host, address }: HostAddress): boolean {
    const holder = this.#hosts.get(address);
    if (!this.contains(address) || (holder !== undefined && holder !== host)) return false;
    if (holder === undefined && this.room <= 0) return false;
    this.#hosts.set(address, host);
    if (!this.#addresses.has(host)) this.#addresses.set(host, address);
    return true;
  }

  /**
   * The address of a host, chosen now if need be; undefined when there is room for no more hosts.
   * @param now milliseconds on the clock of `exclude`
   */
  assign(host: string, now = 0): string | undefined {
    const known = this.#addresses.get(host);
    if (known !== undefined || this.room <= 0) return known;
    for (const address of this.#candidates(host)) {
      if ((this.#taken.get(address) ?? now) > now || !this.add({ host, address })) continue;
      return address;
    }
    return undefined;
  }

  /** Another program has the address: it stands for nothing, and is not chosen for a while. */
  exclude(address: string, now = 0): void {
    this.#taken.set(address, now + TAKEN);
    this.forget(address);
  }

  /** The address stands for nothing, until it is chosen again. @returns the host that it stood for */
  forget(address: string): string | undefined {
    const host = this.#hosts.get(address);
    this.#hosts.delete(address);
    if (host === undefined || this.#addresses.get(host) !== address) return host;
    this.#addresses.delete(host);
    const other = this.pairs().find((pair) => pair.host === host);
    if (other) this.#addresses.set(host, other.address);
    return host;
  }

  /** One of the range. @param random from 0 to below 1 */
  anyAddress(random: number): string {
    return this.#addressAt(Math.floor(random * this.#size));
  }

  /** Every address of the range but its first and its last, which look like a network's own and its broadcast address. */
  *#candidates(host: string): Generator<string> {
    const start = hash(host) % this.#size;
    for (let offset = 0; offset < this.#size; offset++) yield this.#addressAt((start + offset) % this.#size);
  }

  get #size(): number {
    return 2 ** (32 - this.#range.prefix) - 2;
  }

  #addressAt(index: number): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(Buffer.from(this.#range.bytes).readUInt32BE() + 1 + index);
    return formatIp(bytes);
  }
}

/** FNV-1a, its bits mixed once more (the finalizer of MurmurHash3): names that differ in one digit lie far apart. */
function hash(text: string): number {
  let value = fnv1a(text);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
