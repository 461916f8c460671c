import { statSync } from "node:fs";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { type Cidr, cidrContains } from "../net/ip.js";
import { addressesInHosts } from "./core/hosts-file.js";
import { fileVersion, MEBIBYTE, readBounded, readBoundedSync } from "./files.js";

export const HOSTS_FILE = "/etc/hosts";

/** How often the file is checked for changes, milliseconds. */
const LOOK_INTERVAL = 1000;
/** Block lists have about 100,000 lines. Bytes. */
const MAX_SIZE = 8 * MEBIBYTE;
/** Names whose addresses are cached until the file changes. */
const MAX_REMEMBERED = 1000;

/** The text of /etc/hosts; empty when it cannot be used. */
export function readHostsFile(): Promise<string> {
  return readBounded(HOSTS_FILE, { limit: MAX_SIZE }).catch(() => "");
}

/** The version of a missing file. */
const ABSENT = "absent";

interface HostsFileOptions {
  /** Default /etc/hosts. */
  readonly path?: string;
  /** Addresses of this range belong to hosts of the gateway and are left out. */
  readonly gatewayRange: Cidr;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
  readonly log: Logger;
}

/** The addresses of hosts(5), which come before DNS in nsswitch.conf's usual `files dns`. A change is seen within a second. */
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

  /** Canonical IP literals; empty when the file does not have the name, or cannot be used. */
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
      return fileVersion(statSync(this.#path));
    } catch {
      return ABSENT;
    }
  }

  /** As for getaddrinfo(3), DNS is used alone when the file cannot be read. */
  #read(): string {
    try {
      return readBoundedSync(this.#path, MAX_SIZE).toLowerCase();
    } catch (error) {
      const { log } = this.#options;
      log.warn(
        { file: this.#path, error: describeError(error) },
        "hosts file cannot be used: addresses come from DNS only",
      );
      return "";
    }
  }
}
