import type { DnsServer } from "../config/network-values.js";
import type { LookUp } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { decidingServer, mayKnow, type ServerState, serverWords } from "../dns/core/knowledge.js";
import type { NameServer } from "../dns/exchange.js";
import type { SetServers } from "../dns/name-servers.js";
import { isUnder } from "../names/domains.js";
import { hostPartOf } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import { Outages } from "../sampling.js";
import { listed } from "../text.js";
import type { FoundAgentDns } from "./agent-dns.js";
import type { KnownDomain } from "./core/known-domain.js";

export interface KnownDomainsOptions {
  /** Domains of look-ups that are left to DNS, fully qualified. */
  readonly domains: readonly string[];
  readonly consulDomain: string;
  /** Look-ups under Consul's domain are answered from Consul's catalogue as long as its agent answers. */
  readonly usesCatalogue: boolean;
  /** The servers that are set for a name. */
  readonly setFor: (name: string) => Promise<SetServers>;
  /** Has a server asked for a domain in place of those that are set. */
  readonly standIn: (server: DnsServer | undefined) => void;
  readonly ask: (server: NameServer, domain: string, signal: AbortSignal) => Promise<ServerState>;
  /** Looks for the DNS of Consul's agent. */
  readonly findAgent: (domain: string, signal: AbortSignal) => Promise<FoundAgentDns>;
  readonly log: Logger;
  /** Milliseconds; for tests. */
  readonly pauses?: Pauses;
}

/** What the servers that are set for a domain said. */
interface Seen extends Pick<KnownDomain, "domain" | "servers"> {
  readonly isKnown: boolean;
  /** `--dns` names them for this domain. */
  readonly isNamed: boolean;
}

const NOT_ASKED: ServerState = { kind: "dead", said: "not asked" };

interface Pauses {
  /** To the next look while the servers that are set do not know a domain; it doubles. */
  readonly first: number;
  readonly troubled: number;
  /** The least time between two looks that failed look-ups cause; it doubles while each of them finds nothing wrong. */
  readonly least: number;
  readonly most: number;
}

const PAUSES: Pauses = { first: 3_000, troubled: 30_000, least: 10_000, most: 300_000 };
/** Domains that are looked at: a query to each server for each. */
const MOST_DOMAINS = 16;

/**
 * Whether the name servers know the domains in which nodes are looked up. With `--domain svc` and no server that knows
 * `consul`, every node is NXDOMAIN, and nothing else would say so. It looks at the start, when look-ups fail and when
 * Consul's agent answers again, and every half minute until the servers that are set know the domains. Where they do not, and
 * the agent tells its own DNS, that is asked.
 */
export class KnownDomains {
  readonly #options: KnownDomainsOptions;
  readonly #pauses: Pauses;
  readonly #domains: Set<string>;
  readonly #outages = new Outages(() => performance.now());
  readonly #closing = new AbortController();
  #states: readonly KnownDomain[] = [];
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #pause: number;
  #worst: KnownDomain["state"] | undefined;
  #troubled: number;
  #again: NodeJS.Timeout | undefined;
  /** The last call of Consul's agent had no answer, or an error of its servers in place of one. */
  #isAgentGone = false;
  /** When a look was hastened because the agent answered again. */
  #hastenedAt = -Infinity;

  constructor(options: KnownDomainsOptions) {
    this.#options = options;
    this.#pauses = options.pauses ?? PAUSES;
    this.#pause = this.#pauses.least;
    this.#troubled = this.#pauses.first;
    this.#domains = new Set(options.domains.slice(0, MOST_DOMAINS));
    if (this.#domains.size > 0) this.look();
  }

  /** As of the last look; empty before the first one. */
  states(): readonly KnownDomain[] {
    return this.#states;
  }

  /** The server that stands in for others, as --dns has it: `consul=127.0.0.1:8600`. */
  standIn(): string | undefined {
    const found = this.#states.find(({ state }) => state === "agent");
    return found && `${this.#options.consulDomain}=${found.agent}`;
  }

  /** A look-up has ended. */
  readonly take = ({ outcome, node, source }: Pick<LookUp, "outcome" | "node" | "source">): void => {
    if (source === "srv") this.#pause = this.#pauses.least;
    if (outcome !== "not-found" && outcome !== "unavailable") return;
    const host = hostPartOf(node);
    const { consulDomain } = this.#options;
    const isServed = (domain: string) => Array.from(this.#domains).some((one) => isUnder(one, domain));
    // The module asks for nodes of services that no --domain names.
    if (isUnder(host, consulDomain) && !isServed(consulDomain)) this.#domains.add(`service.${consulDomain}`);
    if (!Array.from(this.#domains).some((domain) => isUnder(host, domain))) return;
    if (performance.now() - this.#lookedAt >= this.#pause) this.look();
  };

  /** A call of Consul's agent has ended. One that was down has its DNS again when it answers. @param result as in the event */
  readonly takeCall = (result: string): void => {
    const wasGone = this.#isAgentGone;
    this.#isAgentGone = result === "unavailable";
    if (!wasGone || this.#isAgentGone || this.#worst !== "unknown") return;
    // An agent whose servers are out of reach answers some calls and not others, all the time.
    const now = performance.now();
    if (now - this.#hastenedAt < this.#pauses.troubled) return;
    this.#hastenedAt = now;
    // Its DNS may be late.
    this.#troubled = this.#pauses.first;
    this.#lookIn(this.#lookedAt + this.#pauses.first - now);
  };

  /** Looks now, unless a look is under way. */
  look(): void {
    if (this.#closing.signal.aborted) return;
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#again);
    await this.#looking;
  }

  async #lookAtAll(): Promise<void> {
    clearTimeout(this.#again);
    try {
      const seen = await Promise.all(Array.from(this.#domains, (domain) => this.#askServers(domain)));
      // All domains under Consul's are the same to its agent.
      const stranger = seen.find((one) => !one.isKnown && isUnder(one.domain, this.#options.consulDomain));
      const agent = stranger && (await this.#options.findAgent(stranger.domain, this.#closing.signal));
      if (this.#closing.signal.aborted) return;
      this.#states = seen.map((one) => this.#stateOf(one, agent));
      const isAsked = this.#states.some(({ state }) => state === "agent");
      const server = isAsked ? agent?.server : undefined;
      this.#options.standIn(server && { domain: this.#options.consulDomain, ...server });
      this.#settle();
    } catch (error) {
      this.#options.log.error({ err: error }, "whether the name servers know the domains cannot be found out");
    }
    this.#lookedAt = performance.now();
    if (this.#worst === "known") return;
    this.#lookIn(this.#troubled);
    this.#troubled = Math.min(2 * this.#troubled, this.#pauses.troubled);
  }

  /** @param delay milliseconds */
  #lookIn(delay: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.look(), Math.max(0, delay));
    this.#again.unref();
  }

  async #askServers(domain: string): Promise<Seen> {
    const { servers, named } = await this.#options.setFor(domain);
    const states = await Promise.all(servers.map((server) => this.#askServer(server, domain)));
    const words = servers.map((server, index) => serverWords(server, named, states[index] ?? NOT_ASKED));
    const deciding = decidingServer(states);
    return {
      domain,
      servers: words,
      isKnown: deciding !== undefined && mayKnow(deciding),
      isNamed: named === "domain",
    };
  }

  /** An absence without an SOA tells nothing. Every Consul has a service of its own name, which its servers register. */
  async #askServer(server: NameServer, domain: string): Promise<ServerState> {
    const { ask, consulDomain } = this.#options;
    const { signal } = this.#closing;
    const state = await ask(server, domain, signal);
    if (state.kind !== "vague" || !isUnder(domain, consulDomain)) return state;
    const sure = `consul.service.${consulDomain}`;
    const again = await ask(server, sure, signal);
    return again.kind === "vague" ? { kind: "foreign", said: `${again.said}, for ${sure} too` } : again;
  }

  #stateOf({ domain, servers, isKnown, isNamed }: Seen, found: FoundAgentDns | undefined): KnownDomain {
    const { consulDomain } = this.#options;
    if (isKnown) return { domain, servers, state: "known" };
    const unknown = { domain, servers, state: "unknown" } as const;
    if (!found || !isUnder(domain, consulDomain)) {
      return { ...unknown, advice: `give a name server that knows it: --dns ${domain}=ip[:port]` };
    }
    if (!found.server) return { ...unknown, reason: found.evidence, advice: found.advice };
    const agent = hostPort(found.server);
    if (!isNamed) return { domain, servers, state: "agent", agent };
    const isGiven = servers.some((words) => words.startsWith(`${agent} `));
    if (isGiven && servers.length === 1) {
      const advice = `it is asked again within seconds; if it stays so, see why ${agent} answers late, in the log of Consul's agent`;
      return { ...unknown, reason: `${agent} answered when it was asked again`, advice };
    }
    // Who names a server for the domain means that one.
    const others = isGiven ? "the other servers that are given" : "the server that is given";
    const advice = `give --dns ${consulDomain}=${agent} in place of ${others}`;
    return { ...unknown, reason: `the DNS of Consul's agent answers at ${agent}`, advice };
  }

  #settle(): void {
    const states = this.#states;
    const having = (state: KnownDomain["state"]) => states.filter((one) => one.state === state);
    const before = this.#worst;
    const worst = (["unknown", "agent"] as const).find((state) => having(state).length > 0) ?? "known";
    this.#worst = worst;
    if (before === worst) {
      // Look-ups fail for other reasons: less often is enough.
      this.#pause = Math.min(2 * this.#pause, this.#pauses.most);
      return;
    }
    [this.#pause, this.#troubled] = [this.#pauses.least, this.#pauses.first];
    if (worst === "unknown") this.#tellUnknown(having(worst));
    else this.#tellKnown(having("agent")[0], this.#outages.end("unknown") || before === "agent");
  }

  /** @param agent a domain for which the agent's DNS is asked @param isChange the servers that are set did not know the domains */
  #tellKnown(agent: KnownDomain | undefined, isChange: boolean): void {
    const { consulDomain, log } = this.#options;
    if (agent) {
      log.info(
        { domain: agent.domain, servers: agent.servers, agent: agent.agent },
        `no name server that is set knows Consul's domain: the DNS of its agent is asked, as with --dns ${consulDomain}=${agent.agent}`,
      );
    } else if (isChange) {
      log.info({ servers: this.#states[0]?.servers }, "the name servers that are set know the domains again");
    }
  }

  #tellUnknown(unknown: readonly KnownDomain[]): void {
    const { log, usesCatalogue, consulDomain } = this.#options;
    if (!this.#outages.begin("unknown")) return;
    const [first] = unknown;
    const isConsuls = first !== undefined && isUnder(first.domain, consulDomain);
    const without =
      usesCatalogue && isConsuls
        ? "its nodes are found only as far as Consul's catalogue has them, and while the agent answers"
        : "its nodes are not found by DNS";
    const { servers, reason, advice } = first ?? {};
    log.warn(
      { servers, ...(reason !== undefined && { reason }), advice },
      `no name server knows ${listed(unknown.map(({ domain }) => domain))}: ${without}`,
    );
  }
}
