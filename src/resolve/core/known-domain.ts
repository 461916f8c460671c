/** How the name servers stand to a domain in which nodes are looked up. */
export interface KnownDomain {
  readonly domain: string;
  /**
   * `known`: the servers that are set (--dns, resolv.conf) answer for it. `agent`: they do not, and the DNS of Consul's agent
   * is asked in their place. `unknown`: nobody does, so that its nodes are not found by DNS.
   */
  readonly state: "known" | "agent" | "unknown";
  /** The servers that are set, and what each said: `10.0.0.2:53 (resolv.conf) does not know it (NXDOMAIN from the root of DNS)`. */
  readonly servers: readonly string[];
  /** The agent's DNS that is asked in their place, `127.0.0.1:8600`. */
  readonly agent?: string;
  /** Of an unknown domain: what keeps the agent's DNS from being asked. */
  readonly reason?: string;
  /** Of an unknown domain: the option that is missing. */
  readonly advice?: string;
}
