/** What is known of a kind of problem. */
interface Kind {
  /** Kinds that it may follow from: where one of those is found too, this one is told under it. There is no circle. */
  readonly from: readonly string[];
  /** The node that was asked for is not reached, or may not be. */
  readonly ofPeer?: true;
}

const root: Kind = { from: [] };
const after = (...from: readonly string[]): Kind => ({ from });
const ofPeer = (...from: readonly string[]): Kind => ({ from, ofPeer: true });

/** Nothing is known from the agent. */
const NO_CONSUL = ["CONSUL_DOWN", "CONSUL_TLS", "CONSUL_NOT_AGENT", "CONSUL_CREDENTIAL", "CONSUL_LOGIN"] as const;
/** Nothing is known from Consul, or it takes nothing new. */
const CONSUL = [...NO_CONSUL, "CONSUL_NO_LEADER"] as const;
const RESOLVER = [
  ...["RESOLVER_NONE", "RESOLVER_AGENT", "RESOLVER_DEAD", "RESOLVER_REFUSES", "RESOLVER_FOREIGN", "RESOLVER_DAEMON"],
] as const;
/** No srv-epmd has the EPMD port. */
const NO_EPMD = ["EPMD_NOTHING", "EPMD_STOCK", "EPMD_NOT_EPMD", "EPMD_OTHER_PORT"] as const;
const UNREGISTERED = ["REGISTRATION_MISSING", "REGISTRATION_NOT_PASSED", "REGISTRATION_MAINTENANCE"] as const;
const REGISTRATION = [...UNREGISTERED, "REGISTRATION_TCP", "REGISTRATION_OTHER_CHECK"] as const;
/** The node is not found. */
const UNFOUND = [...RESOLVER, ...CONSUL, "CONSUL_TWO_CLUSTERS", ...REGISTRATION, "DOMAIN_UNPUBLISHED"] as const;
const OPTIONS = ["OPTIONS_REFUSED", "OPTIONS_DIFFER"] as const;

/** The kinds of problems, by their codes, which are stable. Causes are written as data, so that what follows is told once. */
export const PROBLEMS = {
  OPTIONS_REFUSED: root,
  OPTIONS_DIFFER: root,
  TASK_NO_PORT: root,

  /** serve does not start. */
  DNS_LISTEN_DENIED: root,
  DNS_LISTEN_FAILS: root,

  EPMD_NOTHING: after("OPTIONS_REFUSED", "DNS_LISTEN_DENIED", "DNS_LISTEN_FAILS"),
  EPMD_OTHER_PORT: root,
  EPMD_STOCK: root,
  /** VMs ask at 4369 unless they are told. */
  EPMD_UNUSUAL_PORT: root,
  EPMD_NOT_EPMD: root,
  LOOPBACKS_DIFFER: after(...NO_EPMD),
  LOOPBACK_UNSERVED: after(...NO_EPMD),
  OWN_ADDRESS_UNSERVED: after(...NO_EPMD),
  OWN_ADDRESS_TAKEN: after(...NO_EPMD),

  VM_UNREGISTERED: after(...NO_EPMD),
  VM_OTHER_EPMD: after("EPMD_OTHER_PORT"),
  VM_ASKS_NO_EPMD: after(...NO_EPMD),
  VM_PORT_CLOSED: root,
  VM_ON_LOOPBACK: root,
  /** Past the mutual TLS of Connect. */
  VM_OPEN: root,
  VM_DIST_PORT_UNUSED: root,
  VM_STOPPED: root,
  VM_SILENT: root,
  VM_HIDDEN: root,
  VM_NEVER_CONNECTS: root,
  LINK_STUCK: root,

  PORT_NO_LABEL: root,
  PORT_UNMAPPED: after("TASK_NO_PORT", "PORT_NO_LABEL"),
  PORT_UNRESERVED: root,

  NAME_ILLEGAL: { from: [], ofPeer: true },
  NAME_NOT_IN_DNS: { from: [], ofPeer: true },
  NAME_CAPITALS: root,
  NODE_LEFT_OUT: after(...OPTIONS, "DOMAIN_UNPUBLISHED"),
  NODE_REFUSED: after("PORT_NO_LABEL"),
  NODE_OTHER_ON_PORT: root,
  HOST_LOOPBACK: after(...OPTIONS),
  HOST_BRIDGE: root,
  HOST_MACHINE_NAME: after(...OPTIONS),
  HOST_NOT_PUBLISHED: after(...OPTIONS),
  HOST_ELSEWHERE: root,
  HOST_WITHOUT_DOMAIN: after(...OPTIONS),
  HOST_DIFFERS: after(...OPTIONS),

  DOMAIN_UNPUBLISHED: root,
  DOMAIN_DOUBTFUL: root,

  RESOLVER_NONE: root,
  /** The Consul agent's own DNS fails. */
  RESOLVER_AGENT: after(...CONSUL),
  RESOLVER_DEAD: root,
  RESOLVER_REFUSES: root,
  RESOLVER_FOREIGN: root,
  /** Those of the srv-epmd here, which has others than doctor. */
  RESOLVER_DAEMON: after(...OPTIONS),

  NOMAD_API: root,
  NOMAD_NO_INSTANCE: root,
  NOMAD_NO_ENTRY: after("NOMAD_API", "NOMAD_NO_INSTANCE"),
  NOMAD_NO_TAG: root,
  NOMAD_OTHER_PORT: root,
  NODE_UNREACHABLE: after("TASK_NO_PORT", "PORT_NO_LABEL", "PORT_UNMAPPED"),

  CONSUL_DOWN: root,
  CONSUL_TLS: root,
  CONSUL_NOT_AGENT: root,
  CONSUL_CREDENTIAL: root,
  CONSUL_LOGIN: root,
  CONSUL_NO_LEADER: root,
  CONSUL_TWO_CLUSTERS: root,
  CONNECT_NO_CERTIFICATE: after(...CONSUL, "TOKEN_UNKNOWN"),
  CONNECT_EXPIRES: root,
  CONNECT_NO_RELAY: after(...CONSUL, "CONNECT_NO_CERTIFICATE"),
  TOKEN_UNKNOWN: root,
  TOKEN_DENIED: root,
  TOKEN_OTHER: root,
  TOKEN_UNTOLD: after(...CONSUL),

  REGISTRATION_UNTOLD: after(...CONSUL, "TOKEN_UNKNOWN", "TOKEN_DENIED"),
  REGISTRATION_MISSING: after(
    ...[...OPTIONS, ...NO_EPMD, ...CONSUL, "TOKEN_UNKNOWN", "TOKEN_DENIED", "DOMAIN_UNPUBLISHED"],
    ...["PORT_NO_LABEL", "PORT_UNMAPPED", "NODE_REFUSED", "NODE_LEFT_OUT"],
  ),
  REGISTRATION_NOT_PASSED: after(...NO_EPMD, "CONSUL_NO_LEADER", "TOKEN_UNKNOWN", "TOKEN_DENIED"),
  REGISTRATION_MAINTENANCE: root,
  REGISTRATION_TCP: after("VM_PORT_CLOSED", "VM_ON_LOOPBACK", "PORT_UNMAPPED"),
  REGISTRATION_OTHER_CHECK: root,
  REGISTRATION_DIFFERS: after(...OPTIONS),
  CATALOGUE_DIFFERS: after("CONSUL_NO_LEADER", "TOKEN_UNKNOWN", "TOKEN_DENIED"),
  CATALOGUE_ORPHAN: root,
  NAME_TWICE: root,
  NAME_UNTOLD: after(...CONSUL),

  DNS_UNAVAILABLE: after(...RESOLVER, ...CONSUL),
  DNS_MISSING: after(...UNFOUND, "CATALOGUE_DIFFERS"),
  /** It is missing in DNS, and found in the catalogue. */
  DNS_LEAVES_OUT: after(...UNFOUND, "CATALOGUE_DIFFERS"),
  DNS_ELSEWHERE: after(...OPTIONS, "NAME_TWICE", "REGISTRATION_DIFFERS"),
  PUBLISHED_NOT_REACHED: after(
    ...["VM_PORT_CLOSED", "VM_ON_LOOPBACK", "VM_STOPPED", "VM_SILENT", "PORT_UNMAPPED", "NODE_OTHER_ON_PORT"],
  ),
  PUBLISHED_LOOPBACK: root,
  HAIRPIN_OTHER: after("PORT_UNMAPPED"),

  PEER_STALE: after(...RESOLVER, ...CONSUL, "NOMAD_API"),
  PEER_UNAVAILABLE: ofPeer(...RESOLVER, ...CONSUL, "NOMAD_API"),
  PEER_NO_HOST: ofPeer("NAME_ILLEGAL", "NAME_NOT_IN_DNS", ...OPTIONS),
  PEER_NOT_FOUND: ofPeer("NAME_ILLEGAL", "NAME_NOT_IN_DNS", ...UNFOUND, "NOMAD_API"),
  PEER_OTHER_CONSUL: ofPeer(),
  PEER_NO_SERVICE: ofPeer(...OPTIONS, "CONSUL_NO_LEADER", "CONSUL_TWO_CLUSTERS"),
  PEER_NO_TAG: ofPeer(...REGISTRATION, "CONSUL_NO_LEADER", "CONSUL_TWO_CLUSTERS"),
  PEER_OTHER_TAG: ofPeer(),
  PEER_CRITICAL: ofPeer(...REGISTRATION),
  PEER_NOT_IN_DNS: ofPeer(...RESOLVER, ...CONSUL, "CONSUL_TWO_CLUSTERS", "CATALOGUE_DIFFERS"),
  PEER_DAEMON_DIFFERS: ofPeer(...OPTIONS, ...CONSUL, ...RESOLVER),
  PEER_NO_PORT: ofPeer(),
  PEER_NOT_IN_NOMAD: ofPeer("NOMAD_API", "NOMAD_NO_INSTANCE", "NOMAD_NO_ENTRY", "NOMAD_NO_TAG"),

  PEER_REFUSED: ofPeer("UPSTREAM_CLOSED", "VM_PORT_CLOSED", "VM_ON_LOOPBACK"),
  PEER_NO_ROUTE: ofPeer(),
  PEER_NO_ANSWER: ofPeer(),
  PEER_NAMELESS: root,
  PEER_HIDDEN: after("VM_HIDDEN"),
  /** Short and long names never connect. */
  PEER_LONG_NAME: ofPeer(),
  PEER_OTHER_NAME: ofPeer("HOST_DIFFERS", "NAME_CAPITALS"),
  PEER_OTHER_NODE: ofPeer("NODE_OTHER_ON_PORT"),
  PEER_CLOSES: ofPeer("UPSTREAM_CLOSED"),
  PEER_CONNECT: ofPeer("CONNECT_NO_CERTIFICATE", "CONNECT_NO_RELAY", "INTENTION_DENIES"),
  PEER_NOT_ERLANG: ofPeer(),
  PEER_SAYS_NOTHING: ofPeer("VM_STOPPED", "VM_SILENT"),
  PEER_LARGE_LOST: ofPeer(),
  PEER_COOKIE: ofPeer(),
  PEER_COOKIE_UNTOLD: root,
  PEER_TLS: ofPeer(),
  /** Two VMs have the name. */
  PEER_TWICE: after("NAME_TWICE"),
  PEER_HOST_UNKNOWN: ofPeer(),
  PEER_HOSTS_LINE: ofPeer(),
  /** Processes of VMs cannot be read. */
  PEER_HOSTS_UNTOLD: root,
  PEER_RELAY_DOWN: ofPeer(...NO_EPMD),
  PEER_RELEASE: ofPeer(),
  PEER_FAMILY: ofPeer(),
  PEER_NO_WAY: ofPeer(...NO_EPMD, "PEER_FAMILY", "PEER_HOSTS_LINE"),
  PEER_EPMD_SILENT: ofPeer(...NO_EPMD, "PEER_HOSTS_LINE"),
  PEER_GATEWAY_UNUSED: ofPeer(...NO_EPMD, "PEER_HOSTS_LINE"),

  UPSTREAM_UNKNOWN: ofPeer(...CONSUL),
  UPSTREAM_NO_PROXY: ofPeer(...NO_CONSUL),
  UPSTREAM_MISSING: ofPeer(...OPTIONS),
  UPSTREAM_CLOSED: ofPeer(),
  INTENTION_DENIES: ofPeer(),
  MESH_DENIED: ofPeer("INTENTION_DENIES"),
  MESH_HUNG_UP: ofPeer("INTENTION_DENIES", "UPSTREAM_CLOSED"),

  STREAMS_HOST: root,
  CLOCK_DIFFERS: root,
  CHECK_LATE: after(...RESOLVER, ...CONSUL),
  CHECK_BROKEN: root,
} as const satisfies Record<string, Kind>;

/** Stable: scripts name it. */
export type ProblemCode = keyof typeof PROBLEMS;

/** The kinds that a kind may follow from. */
export function causesOf(code: ProblemCode): readonly ProblemCode[] {
  return PROBLEMS[code].from as readonly ProblemCode[];
}

/** Whether a problem says that the node that was asked for is not reached, or may not be. */
export function isOfPeer(code: ProblemCode): boolean {
  const kind: Kind = PROBLEMS[code];
  return kind.ofPeer === true;
}
