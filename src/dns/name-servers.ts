import { stat } from "node:fs/promises";
import type { DnsServer } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { isUnder } from "../names/domains.js";
import { DNS_PORT } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { fileVersion, MEBIBYTE, readBounded } from "../os/files.js";
import { DEFAULT_RESOLV_CONF, parseResolvConf, type ResolvConf, searchNames } from "./core/resolv-conf.js";
import type { NameServer } from "./exchange.js";

/** The servers for one name, and how the system wants them asked. */
export interface ServerSet {
  /** Those that failed a moment ago are last. Empty when resolv.conf names only ourselves. */
  readonly servers: readonly NameServer[];
  /** Milliseconds per try, when resolv.conf says so. */
  readonly timeout: number | undefined;
  /** Rounds over all servers, when resolv.conf says so. */
  readonly attempts: number | undefined;
  /** Over TCP alone, when resolv.conf says so. */
  readonly useTcp: boolean;
}

/** The servers that are set for a name. */
export interface SetServers {
  readonly servers: readonly NameServer[];
  /** Whether `--dns` names them: for this domain, or for every name; undefined: they are those of resolv.conf. */
  readonly named: "domain" | "every name" | undefined;
}

export interface NameServersOptions {
  /** From `--dns`. */
  readonly rules: readonly DnsServer[];
  readonly resolvConf: string;
  /** Servers of resolv.conf that are not asked, because they are ourselves. */
  readonly isOwn?: ((server: NameServer) => boolean) | undefined;
  /** Asked when resolv.conf names only ourselves. */
  readonly otherwise?: readonly NameServer[] | undefined;
  readonly log: Logger;
}

/** How long a server that failed is tried last, and a server that drops UDP is asked over TCP. RFC 8767, failure recheck timer; milliseconds. */
const PENALTY = 30_000;

/**
 * Which servers are asked for a name: the longest matching `--dns` suffix, then `--dns` without a domain, then resolv.conf
 * without ourselves.
 */
export class NameServers {
  readonly #options: NameServersOptions;
  readonly #failedAt = new Map<string, number>();
  /** When a server that is silent over UDP answered over TCP. */
  readonly #udpLostAt = new Map<string, number>();
  /** Of `options rotate`. */
  #turns = 0;
  #read: { readonly version: string; readonly conf: ResolvConf } | undefined;
  #standIn: DnsServer | undefined;

  constructor(options: NameServersOptions) {
    this.#options = options;
  }

  /** Has a server asked for the names under its domain, in place of those that are set and do not know it. @param server undefined: none any more */
  standIn(server: DnsServer | undefined): void {
    this.#standIn = server;
  }

  /** The servers that are set for a name, without the one that stands in for them. */
  async setFor(name: string): Promise<SetServers> {
    const matching = this.#matching(name, this.#options.rules);
    if (matching.length === 0) return { servers: this.#systemServers(await this.#resolvConf()), named: undefined };
    return { servers: matching, named: matching.some(({ domain }) => domain !== undefined) ? "domain" : "every name" };
  }

  /** The names to ask for: with the search list of resolv.conf, when its servers are asked for the name. */
  async namesFor(name: string): Promise<string[]> {
    return this.#matching(name).length > 0 ? [name] : searchNames(name, await this.#resolvConf());
  }

  /** As `namesFor`, with resolv.conf as it was last read: synchronous, for names that were asked for before. */
  knownNamesFor(name: string): string[] {
    return this.#matching(name).length > 0 ? [name] : searchNames(name, this.#read?.conf ?? DEFAULT_RESOLV_CONF);
  }

  /** All of them, as --dns has them: `domain=ip:port`, or `ip:port` for every other name. */
  async all(): Promise<string[]> {
    const named = this.#rules().filter(({ domain }) => domain !== undefined);
    const general = this.#matching("");
    const servers = general.length > 0 ? general : this.#systemServers(await this.#resolvConf());
    return [...named.map((rule) => `${rule.domain}=${hostPort(rule)}`), ...servers.map((server) => hostPort(server))];
  }

  async serversFor(name: string, now: number): Promise<ServerSet> {
    const matching = this.#matching(name);
    if (matching.length > 0) {
      return { servers: this.#order(matching, now), timeout: undefined, attempts: undefined, useTcp: false };
    }
    const conf = await this.#resolvConf();
    const { timeout, attempts, useTcp, rotate } = conf;
    const servers = this.#systemServers(conf);
    const first = rotate && servers.length > 0 ? this.#turns++ % servers.length : 0;
    const turned = [...servers.slice(first), ...servers.slice(0, first)];
    return { servers: this.#order(turned, now), timeout, attempts, useTcp };
  }

  /** Those of resolv.conf, without our own. */
  #systemServers({ nameservers }: ResolvConf): readonly NameServer[] {
    const { isOwn = () => false, otherwise = [] } = this.#options;
    const others = nameservers.map((address) => ({ address, port: DNS_PORT })).filter((server) => !isOwn(server));
    return others.length > 0 ? others : otherwise;
  }

  failed(server: NameServer, now: number): void {
    this.#failedAt.set(hostPort(server), now);
  }

  answered(server: NameServer): void {
    this.#failedAt.delete(hostPort(server));
  }

  /** The server was silent over UDP and answered over TCP. */
  lostUdp(server: NameServer, now: number): void {
    this.#udpLostAt.set(hostPort(server), now);
  }

  /** The server is tried over UDP again. */
  foundUdp(server: NameServer): void {
    this.#udpLostAt.delete(hostPort(server));
  }

  /** Whether the server was silent over UDP a moment ago. */
  dropsUdp(server: NameServer, now: number): boolean {
    const lostAt = this.#udpLostAt.get(hostPort(server));
    return lostAt !== undefined && now - lostAt < PENALTY;
  }

  #rules(): readonly DnsServer[] {
    const { rules } = this.#options;
    return this.#standIn ? [...rules, this.#standIn] : rules;
  }

  #matching(name: string, rules = this.#rules()): DnsServer[] {
    const suffixes = rules
      .map((rule) => rule.domain)
      .filter((domain) => domain !== undefined && isUnder(name, domain))
      .sort((a, b) => (b?.length ?? 0) - (a?.length ?? 0));
    return rules.filter((rule) => rule.domain === suffixes[0]);
  }

  #order(servers: readonly NameServer[], now: number): NameServer[] {
    const penalised = (server: NameServer) => {
      const failedAt = this.#failedAt.get(hostPort(server));
      return failedAt !== undefined && now - failedAt < PENALTY;
    };
    return Array.from(servers).sort((a, b) => Number(penalised(a)) - Number(penalised(b)));
  }

  /** Read again when the file has changed: DHCP and VPN clients write it, often by renaming another file over it. */
  async #resolvConf(): Promise<ResolvConf> {
    const { resolvConf: path, log } = this.#options;
    try {
      const version = fileVersion(await stat(path));
      if (this.#read?.version !== version) {
        const conf = parseResolvConf(await readBounded(path, { limit: MEBIBYTE }));
        this.#read = { version, conf };
        const { nameservers, search, ignored } = conf;
        log.debug({ file: path, nameServers: nameservers, search }, "resolv.conf read");
        if (ignored.length > 0) log.info({ file: path, options: ignored }, "resolv.conf has options that are ignored");
      }
    } catch (err) {
      if (this.#read?.version !== "none")
        log.debug({ file: path, err }, "resolv.conf cannot be read; 127.0.0.1 is asked");
      this.#read = { version: "none", conf: DEFAULT_RESOLV_CONF };
    }
    return this.#read.conf;
  }
}
