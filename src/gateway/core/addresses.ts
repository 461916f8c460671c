import { Buffer } from "node:buffer";
import { domainName } from "../../config/network-values.js";
import { ValueError } from "../../config/values.js";
import { ConfigError } from "../../errors.js";
import {
  type DomainSettings,
  expandHost,
  qualifiedDomain,
  servedDomains,
  serviceDomainOf,
} from "../../names/domains.js";
import { type Cidr, cidrContains, formatIp } from "../../net/ip.js";
import { fnv1a } from "../../text.js";

/** The settings that decide which hosts resolve to loopback addresses. */
export interface GatewayNameSettings extends Pick<DomainSettings, "domain" | "consulDomain"> {
  readonly gatewayDomain: readonly string[];
}

/**
 * Domains whose hosts resolve to loopback addresses, they themselves included: --gateway-domain, else --domain. A word
 * without a dot is a service, as in --domain. Lower case, without trailing dot.
 */
export function gatewayDomains(settings: GatewayNameSettings): string[] {
  const { gatewayDomain } = settings;
  const domains =
    gatewayDomain.length > 0
      ? gatewayDomain.map((name) => expandHost(name, serviceDomainOf(settings), new Set(["localhost"])))
      : servedDomains(settings);
  // `localhost` keeps its own address.
  return Array.from(new Set(domains)).filter((name) => name !== "localhost");
}

/** @param host a valid host name in lower case */
export function isGatewayHost(domains: readonly string[], host: string): boolean {
  return domains.some((domain) => host === domain || isHostUnder(host, domain));
}

function isHostUnder(host: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const labels = host.slice(0, -domain.length - 1).split(".");
  // RFC 8552: names with labels such as _tcp have records about a host (SRV, TXT); they are not hosts.
  return labels.every((label) => !label.startsWith("_"));
}

/** A host and the loopback address that stands for it. */
export interface HostAddress {
  /** Lower case, without trailing dot. */
  readonly host: string;
  /** Canonical IPv4 literal inside the range. */
  readonly address: string;
}

/** Each host costs the EPMD a listening socket: look-ups of many names must not use up all descriptors. */
const MAX_HOSTS = 1024;
const MIN_HOSTS = 16;
/** How long an address of another program is not chosen, milliseconds. */
const TAKEN = 600_000;

/** The most hosts. @param openFiles limit of open files; undefined: none */
export function hostLimit(openFiles: number | undefined): number {
  return Math.max(MIN_HOSTS, Math.min(MAX_HOSTS, Math.floor((openFiles ?? Number.POSITIVE_INFINITY) / 8)));
}

/**
 * Which loopback address stands for which host. An address is derived from the host's name, so that every process derives
 * the same; on a collision the next free one is taken.
 */
export class GatewayAddresses {
  readonly #range: Cidr;
  readonly #limit: number;
  readonly #addresses = new Map<string, string>();
  readonly #hosts = new Map<string, string>();
  /** Addresses of other programs, and until when they are not chosen. */
  readonly #taken = new Map<string, number>();

  /** @param limit the most hosts */
  constructor(range: Cidr, limit = MAX_HOSTS) {
    this.#range = range;
    this.#limit = limit;
  }

  /** How many hosts have an address. */
  get size(): number {
    return this.#hosts.size;
  }

  /** How many more addresses may be given. */
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
   * Adds a pair that is known already. A host may have several addresses: the first of them stays its address.
   * @returns false when the address is outside the range or stands for another host, or there is no room
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
   * The address of a host, chosen now when it has none; undefined when there is no room for a further host.
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

  /** Another program listens at the address: it stands for no host, and is not chosen for a while. */
  exclude(address: string, now = 0): void {
    this.#taken.set(address, now + TAKEN);
    this.forget(address);
  }

  /** The address stands for no host until it is chosen again. @returns the host that it stood for */
  forget(address: string): string | undefined {
    const host = this.#hosts.get(address);
    this.#hosts.delete(address);
    if (host === undefined || this.#addresses.get(host) !== address) return host;
    this.#addresses.delete(host);
    const other = this.pairs().find((pair) => pair.host === host);
    if (other) this.#addresses.set(host, other.address);
    return host;
  }

  /** Any address of the range. @param random from 0 to below 1 */
  anyAddress(random: number): string {
    return this.#addressAt(Math.floor(random * this.#rangeSize));
  }

  /** Every address of the range but its first and its last, which look like a network's own and its broadcast address. */
  *#candidates(host: string): Generator<string> {
    const start = hash(host) % this.#rangeSize;
    for (let offset = 0; offset < this.#rangeSize; offset++) yield this.#addressAt((start + offset) % this.#rangeSize);
  }

  get #rangeSize(): number {
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

/**
 * The hosts of a command line with their addresses, each host once, in the order of the command line. A word without a
 * dot is a service.
 * @param addresses the pairs that are known; new ones are added
 * @throws ConfigError that names the operand which is not a host
 */
export function pairsFor(
  operands: readonly string[],
  consulDomain: string,
  addresses: GatewayAddresses,
): readonly HostAddress[] {
  const hosts = new Set(operands.map((operand) => hostOperand(operand, consulDomain)));
  return Array.from(hosts, (host) => {
    const address = addresses.assign(host);
    if (address === undefined) throw new ConfigError("CONFIG_VALUE", `there is no room in --gateway-range for ${host}`);
    return { host, address };
  });
}

function hostOperand(operand: string, consulDomain: string): string {
  const complain = (what: string) => new ConfigError("CONFIG_VALUE", `host ${JSON.stringify(operand)} ${what}`);
  if (operand.includes("@")) throw complain("is a node: give its host, the part behind the @");
  if (operand.toLowerCase() === "localhost") throw complain("is this machine, and stays 127.0.0.1");
  try {
    return domainName(qualifiedDomain(domainName(operand), consulDomain));
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw complain(error.message);
  }
}
