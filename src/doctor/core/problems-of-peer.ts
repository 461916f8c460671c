import { CONSUL, type Kind, NO_CONSUL, NO_EPMD, OPTIONS, REGISTRATION, RESOLVER, UNFOUND } from "./problem-kind.js";

/** Of the node that was asked for and the way to it; and of a check itself. */
export const PROBLEMS_OF_PEER = {
  PEER_STALE: {
    means: "the last good answer is used, for nobody who could know better answers",
    action: "what resolver or nomad-api says",
    from: [...RESOLVER, ...CONSUL, "NOMAD_API"],
  },
  PEER_UNAVAILABLE: {
    means: "it cannot be looked up",
    action: "what resolver says",
    from: [...RESOLVER, ...CONSUL, "NOMAD_API"],
    ofPeer: true,
  },
  PEER_NO_HOST: {
    means: "no name server is asked for its host part",
    action: "a host part, or --domain",
    from: ["NAME_ILLEGAL", "NAME_NOT_IN_DNS", ...OPTIONS],
    ofPeer: true,
  },
  PEER_NOT_FOUND: {
    means: "it is not found",
    action: "the spelling; start it beside a srv-epmd",
    from: ["NAME_ILLEGAL", "NAME_NOT_IN_DNS", ...UNFOUND, "NOMAD_API", "PEER_HOSTS_LINE"],
    ofPeer: true,
  },
  PEER_OTHER_CONSUL: {
    means: "Consul's servers here do not know its datacenter",
    action: "consul join -wan, or a datacenter that is known",
    ofPeer: true,
  },
  PEER_NO_SERVICE: {
    means: "Consul has no instance of its service",
    action: "the spelling of the service; start it beside a srv-epmd",
    from: [...OPTIONS, "CONSUL_NO_LEADER", "CONSUL_TWO_CLUSTERS"],
    ofPeer: true,
  },
  PEER_NO_TAG: {
    means: "no instance of the service has its tag",
    action: "the spelling; doctor on its machine",
    from: [...REGISTRATION, "CONSUL_NO_LEADER", "CONSUL_TWO_CLUSTERS"],
    ofPeer: true,
  },
  PEER_OTHER_TAG: { means: "it is registered under another tag", action: "its alive name as tag", ofPeer: true },
  PEER_CRITICAL: {
    means: "a critical check keeps it out of DNS",
    action: "what the check says; doctor on its machine",
    from: [...REGISTRATION],
    ofPeer: true,
  },
  PEER_NOT_IN_DNS: {
    means: "Consul has it, and the DNS that is asked does not",
    action: "the DNS of that Consul, and the agent's default token",
    from: [...RESOLVER, ...CONSUL, "CONSUL_TWO_CLUSTERS", "CATALOGUE_DIFFERS"],
    ofPeer: true,
  },
  PEER_DAEMON_DIFFERS: {
    means: "the srv-epmd here does not find it where doctor does",
    action: "one set of options for both",
    from: [...OPTIONS, ...CONSUL, ...RESOLVER],
    ofPeer: true,
  },
  PEER_NO_PORT: {
    means: "its host has addresses, and neither an SRV record nor the EPMD there tells its port",
    action: "publish it, or --fallback; --listen for the srv-epmd there",
    from: ["PEER_HOSTS_LINE"],
    ofPeer: true,
  },
  PEER_NOT_IN_NOMAD: {
    means: "Nomad does not have it",
    action: "its service block in Nomad",
    from: ["NOMAD_API", "NOMAD_NO_INSTANCE", "NOMAD_NO_ENTRY", "NOMAD_NO_TAG"],
    ofPeer: true,
  },

  PEER_REFUSED: {
    means: "its endpoint refuses connections",
    action: "doctor on its machine",
    from: ["UPSTREAM_CLOSED", "VM_PORT_CLOSED", "VM_ON_LOOPBACK"],
    ofPeer: true,
  },
  PEER_NO_ROUTE: {
    means: "its endpoint cannot be reached from here",
    action: "another address for it, or a route",
    ofPeer: true,
  },
  PEER_NO_ANSWER: {
    means: "its endpoint does not answer a connection attempt",
    action: "firewalls, its machine, its address",
    ofPeer: true,
  },
  PEER_WRONG_ADDRESS: {
    means: "it answers at the address of its Consul agent, and not where it is published",
    action: "--advertise-address of serve on its machine",
    ofPeer: true,
  },
  PEER_NAMELESS: { means: "it does not tell its name", action: "its net_kernel:allow/1, its log" },
  PEER_NOT_ALLOWED: {
    means: "it accepts only the nodes of its net_kernel:allow/1, and no VM here is linked with it",
    action: "net_kernel:allowed/0 in its shell lists them; allow the VMs here",
    ofPeer: true,
  },
  PEER_HIDDEN: {
    means: "it is a hidden node",
    action: "start it without -hidden if it is to be a member",
    from: ["VM_HIDDEN"],
  },
  PEER_LONG_NAME: {
    means: "a VM here has a short name and it has a long one: they never connect",
    action: "-name in place of -sname",
    ofPeer: true,
  },
  PEER_OTHER_NAME: {
    means: "it is there under another host part",
    action: "the very name that its VM has",
    from: ["HOST_DIFFERS", "NAME_CAPITALS"],
    ofPeer: true,
  },
  PEER_OTHER_NODE: {
    means: "another node has its port",
    action: "doctor on that machine",
    from: ["NODE_OTHER_ON_PORT"],
    ofPeer: true,
  },
  PEER_CLOSES: {
    means: "something accepts the connection and closes it",
    action: "see that the VM behind the proxy or mapping runs",
    from: ["UPSTREAM_CLOSED"],
    ofPeer: true,
  },
  PEER_CONNECT: {
    means: "mutual TLS of Connect with it fails",
    action: "connect-certificate and mesh-intention; doctor on its machine",
    from: ["CONNECT_NO_CERTIFICATE", "CONNECT_NO_RELAY", "INTENTION_DENIES"],
    ofPeer: true,
  },
  PEER_NOT_ERLANG: { means: "another program has its port", action: "doctor on that machine", ofPeer: true },
  PEER_SAYS_NOTHING: {
    means: "it accepts connections and does not answer",
    action: "kill -CONT for a VM that is stopped; its load",
    from: ["VM_STOPPED", "VM_SILENT"],
    ofPeer: true,
  },
  PEER_LARGE_LOST: {
    means: "large packets to it are lost",
    action: 'the MTU on the way; let ICMP "fragmentation needed" through',
    ofPeer: true,
  },
  PEER_COOKIE: { means: "it has another cookie", action: "one cookie for both", ofPeer: true },
  PEER_COOKIE_UNTOLD: { means: "the cookie could not be compared", action: "ask again" },
  PEER_TLS: {
    means: "one side speaks TLS and the other does not",
    action: "-proto_dist inet_tls on both sides, or on neither",
    ofPeer: true,
  },
  PEER_TWICE: { means: "several VMs have the name", action: "stop one of them", from: ["NAME_TWICE"] },
  PEER_HOST_UNKNOWN: {
    means: "a VM of OTP 23 here cannot resolve its host part",
    action: "a line in /etc/hosts",
    ofPeer: true,
  },
  PEER_HOSTS_LINE: {
    means: "a line of /etc/hosts leads unmodified VMs elsewhere",
    action: "take it out, or correct it",
    ofPeer: true,
  },
  PEER_HOSTS_UNTOLD: {
    means: "whether /etc/hosts matters is not known: this user may not read the processes of VMs",
    action: "doctor as root, or as the user of the VM",
  },
  PEER_RELAY_DOWN: {
    means: "the gateway's relay process does not answer",
    action: "start srv-epmd relay",
    from: [...NO_EPMD],
    ofPeer: true,
  },
  PEER_RELEASE: {
    means: "its release and one here refuse each other",
    action: "releases that accept each other",
    ofPeer: true,
  },
  PEER_FAMILY: {
    means: "VMs here cannot dial its IP version",
    action: "one -proto_dist, an address of the other version, or --gateway",
    ofPeer: true,
  },
  PEER_NO_WAY: {
    means: "no VM here has a way to it",
    action: "the module, or the gateway",
    from: [...NO_EPMD, "PEER_FAMILY", "PEER_HOSTS_LINE"],
    ofPeer: true,
  },
  PEER_EPMD_SILENT: {
    means: "the EPMD that stock VMs ask for it does not tell its port",
    action: "--listen for the srv-epmd there",
    from: [...NO_EPMD, "PEER_HOSTS_LINE"],
    ofPeer: true,
  },
  PEER_GATEWAY_UNUSED: {
    means: "unmodified VMs here do not use the gateway",
    action: "make it their resolver, or srv-epmd hosts",
    from: [...NO_EPMD, "PEER_HOSTS_LINE"],
    ofPeer: true,
  },

  UPSTREAM_UNKNOWN: {
    means: "the agent does not tell the upstreams",
    action: "what consul-agent says",
    from: [...CONSUL],
    ofPeer: true,
  },
  UPSTREAM_NO_PROXY: {
    means: "there is no sidecar proxy here",
    action: "start it, or give --consul",
    from: [...NO_CONSUL],
    ofPeer: true,
  },
  UPSTREAM_MISSING: {
    means: "the sidecar proxy has no upstream for it",
    action: "give it one, or --upstream-service",
    from: [...OPTIONS],
    ofPeer: true,
  },
  UPSTREAM_CLOSED: {
    means: "nothing listens on the port of the upstream",
    action: "start the sidecar proxy",
    ofPeer: true,
  },
  INTENTION_DENIES: {
    means: "an intention does not let the services connect",
    action: "allow both directions",
    ofPeer: true,
  },
  MESH_DENIED: {
    means: "the proxy closes the connection, and an intention denies it",
    action: "allow it",
    from: ["INTENTION_DENIES"],
    ofPeer: true,
  },
  MESH_HUNG_UP: {
    means: "the proxy closes the connection",
    action: "intentions, and the proxy of the other side",
    from: ["INTENTION_DENIES", "UPSTREAM_CLOSED"],
    ofPeer: true,
  },
} as const satisfies Record<string, Kind>;
