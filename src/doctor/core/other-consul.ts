import { listed } from "../../text.js";

/** The Consul to which the name servers belong, where the agent's is another one. */
export interface OtherConsul {
  /** IP literals of its servers, as its DNS names them; at least one. */
  readonly servers: readonly string[];
  /** By its DNS. */
  readonly datacenter: string | undefined;
  /** Addresses at which its HTTP API was asked for the leader. */
  readonly asked: readonly string[];
  /** `10.0.0.1:8300`; undefined: none of them told. */
  readonly leader: string | undefined;
}

/** Which one it is, as far as it tells from here. */
export function otherWords({ servers, datacenter, asked, leader }: OtherConsul): string {
  const of = datacenter === undefined ? "" : ` of ${datacenter}`;
  const who = "the Consul of the name servers";
  if (leader !== undefined) return `${who}: the leader${of} is ${leader}`;
  const which = servers.length === 1 ? `the only server${of} is` : `the servers${of} are`;
  const place = datacenter === undefined ? " Its DNS does not tell the datacenter." : "";
  return `${who}: ${which} ${listed(servers)}, by its DNS; which of them leads is not told here: no HTTP API on port 8500 of ${listed(asked)} tells it.${place}`;
}

/** What to run where its agent can be asked. */
export function howToAsk({ servers: [server = ""] }: OtherConsul): string {
  return `on ${server}, consul operator raft list-peers names the leader, and consul members -detailed the datacenter; srv-epmd doctor --all on a machine with an agent of that Consul tells both in consul-leader`;
}
