import { statSync } from "node:fs";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { type Cidr, cidrContains } from "../net/ip.js";
import { MEBIBYTE, readBounded, readBoundedSync } from "./bounded-file.js";
import { addressesInHosts } from "./core/hosts-file.js";

const HOSTS_FILE = "/etc/hosts";

/** How long the file is taken to be as it was, milliseconds. */
const LOOK_INTERVAL = 1000;
/** Lists of hosts to be blocked have some 100,000 lines. */
const MAX_SIZE = 8 * MEBIBYTE;
/** Names whose addresses are remembered until the file changes. */
const MAX_REMEMBERED = 1000;

/** The text of /etc/hosts; empty when there is none that can be used. */
export function readHostsFile(): Promise<string> {
  return readBounded(HOSTS_FILE, { limit: MAX_SIZE }).catch(() => "");
}

/** A version of the file that there is none of. */
const ABSENT = "absent";

export interface HostsFileOptions {
  /** Default /etc/hosts. */
  readonly path?: string;
  /** Addresses in here stand for hosts of the gateway and lead back to this machine. */
  readonly gatewayRange: Cidr;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
  readonly log: Logger;
}

/** The addresses of hosts(5), which nsswitch.conf's usual `files dns` puts before DNS. A change is seen within a second. */
export class HostsFile {
  readonly #options: HostsFileOptions;
  readonly #path: string;
  #text = "";
  #version = ABSENT;
  readonly #remembered = new Map<string, readonly string[]>();
  #lookAgainAt = Number.NEGATIVE_INFINITY;

  constructor(options: HostsFileOptions) {
    this.#options = options;
    this.#path = options.path ?? HOSTS_FILE;
  }

  /** Canonical IP literals; none when the file does not have the name, or cannot be used. */
  addressesOf(name: string): readonly string[] {
    const { now } = this.#options;
    if (now() >= this.#lookAgainAt) {
      this.#lookAgainAt = now() + LOOK_INTERVAL;
      this.#look();
    }
    const addresses = this.#remembered.get(name) ?? this.#find(name);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(name, addresses);
    return addresses;
  }

  #find(name: string): string[] {
    const { gatewayRange } = this.#options;
    return addressesInHosts(this.#text, name).filter((address) => !cidrContains(gatewayRange, address));
  }

  #look(): void {
    const version = this.#versionNow();
    if (version === this.#version) return;
    this.#version = version;
    this.#remembered.clear();
    this.#text = version === ABSENT ? "" : this.#read();
  }

  #versionNow(): string {
    try {
      const { ino, size, mtimeMs } = statSync(this.#path);
      return `${ino} ${size} ${mtimeMs}`;
    } catch {
      return ABSENT;
    }
  }

  /** Where it cannot be used, DNS is all there is, as for getaddrinfo(3). */
  #read(): string {
    try {
      return readBoundedSync(this.#path, MAX_SIZE).toLowerCase();
    } catch (error) {
      const { log } = this.#options;
      log.warn(
        { file: this.#path, reason: describeError(error) },
        "hosts file cannot be used: hosts are asked for in DNS alone",
      );
      return "";
    }
  }
}
