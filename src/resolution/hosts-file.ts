import { statSync } from "node:fs";
import { MEBIBYTE, readBoundedSync } from "../bounded-file.js";
import { addressesByName } from "../core/hosts-file.js";
import { type Cidr, cidrContains } from "../core/ip.js";

/** How long the file is taken to be as it was, milliseconds. */
const LOOK_INTERVAL = 1000;
/** Lists of hosts to be blocked have some 100,000 lines. */
const MAX_SIZE = 16 * MEBIBYTE;

export interface HostsFileOptions {
  /** Default /etc/hosts. */
  readonly path?: string;
  /** Addresses in here stand for hosts of the gateway and lead back to this machine. */
  readonly gatewayRange: Cidr;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
}

/** The addresses of hosts(5), which nsswitch.conf's usual `files dns` puts before DNS. A change is seen within a second. */
export class HostsFile {
  readonly #options: HostsFileOptions;
  readonly #path: string;
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();
  #version = "";
  #lookAgainAt = Number.NEGATIVE_INFINITY;

  constructor(options: HostsFileOptions) {
    this.#options = options;
    this.#path = options.path ?? "/etc/hosts";
  }

  /** Canonical IP literals; none when the file does not have the name, or cannot be used. */
  addressesOf(name: string): readonly string[] {
    const { now, gatewayRange } = this.#options;
    if (now() >= this.#lookAgainAt) {
      this.#lookAgainAt = now() + LOOK_INTERVAL;
      this.#look();
    }
    const addresses = this.#addresses.get(name.toLowerCase()) ?? [];
    return addresses.filter((address) => !cidrContains(gatewayRange, address));
  }

  #look(): void {
    try {
      const { ino, size, mtimeMs } = statSync(this.#path);
      const version = `${ino} ${size} ${mtimeMs}`;
      if (version === this.#version) return;
      this.#version = version;
      this.#addresses = addressesByName(readBoundedSync(this.#path, MAX_SIZE));
    } catch {
      // Absent or not readable: as for getaddrinfo(3), DNS is all there is.
      this.#addresses = new Map();
      this.#version = "";
    }
  }
}
