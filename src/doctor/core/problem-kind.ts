/** What is known of a kind of problem. */
export interface Kind {
  /** For the manual: what is wrong, and what is done about it in general; a finding has the names and values. */
  readonly means: string;
  readonly action: string;
  /** Kinds that it may follow from: where one of those is found too, this one is told under it. There is no circle. */
  readonly from?: readonly string[];
  /** The node that was asked for is not reached, or may not be. */
  readonly ofPeer?: true;
}

// Causes that many kinds have in common.

/** Nothing is known from the agent. */
export const NO_CONSUL = [
  "CONSUL_DOWN",
  "CONSUL_TLS",
  "CONSUL_NOT_AGENT",
  "CONSUL_CREDENTIAL",
  "CONSUL_LOGIN",
] as const;
/** The agent answers, and takes nothing new. */
export const NO_LEADER = ["CONSUL_NO_SERVER", "CONSUL_NO_LEADER"] as const;
/** Nothing is known from Consul, or it takes nothing new. */
export const CONSUL = [...NO_CONSUL, ...NO_LEADER] as const;
export const RESOLVER = [
  ...["RESOLVER_NONE", "RESOLVER_AGENT", "RESOLVER_DEAD", "RESOLVER_REFUSES", "RESOLVER_FOREIGN", "RESOLVER_DAEMON"],
] as const;
/** No srv-epmd has the EPMD port. */
export const NO_EPMD = ["EPMD_NOTHING", "EPMD_STOCK", "EPMD_NOT_EPMD", "EPMD_OTHER_PORT"] as const;
const UNREGISTERED = ["REGISTRATION_MISSING", "REGISTRATION_NOT_PASSED", "REGISTRATION_MAINTENANCE"] as const;
export const REGISTRATION = [...UNREGISTERED, "REGISTRATION_TCP", "REGISTRATION_OTHER_CHECK"] as const;
/** What Consul has is not seen, for it is left out of its answers. */
export const UNREAD = ["TOKEN_NOT_GIVEN", "TOKEN_CANNOT_READ", "DEFAULT_TOKEN_CANNOT_READ"] as const;
/** DNS does not have the node: what it shows is what the agent's default token may read, whichever token serve or doctor has. */
export const NOT_IN_DNS = [
  ...[
    ...RESOLVER,
    ...CONSUL,
    "CONSUL_OTHER",
    "DEFAULT_TOKEN_CANNOT_READ",
    "CONSUL_TWO_CLUSTERS",
    "REGISTRATION_UNTOLD",
    ...REGISTRATION,
    "DOMAIN_UNPUBLISHED",
  ],
] as const;
/** The node is not found. */
export const UNFOUND = [...NOT_IN_DNS, ...UNREAD] as const;
export const OPTIONS = ["OPTIONS_REFUSED", "OPTIONS_DIFFER"] as const;
