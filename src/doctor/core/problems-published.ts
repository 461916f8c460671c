import { CONSUL, type Kind, NO_EPMD, NO_LEADER, NOT_IN_DNS, OPTIONS, RESOLVER } from "./problem-kind.js";

/** Of what is published, and of who has it: name servers, Nomad, Consul. */
export const PROBLEMS_PUBLISHED = {
  DOMAIN_UNPUBLISHED: {
    means: "nothing can be published under a --domain",
    action: "a domain such as svc.service.consul",
  },
  DOMAIN_DOUBTFUL: {
    means: "not every version of Consul finds nodes under a --domain",
    action: "a domain such as svc.service.consul",
  },

  // Of the name servers of resolv.conf, where nothing is given and no srv-epmd tells which it has.
  RESOLVER_NONE: { means: "no name server is asked for a domain", action: "--dns", from: [...NO_EPMD] },
  RESOLVER_AGENT: {
    means: "the DNS of Consul's agent fails",
    action: "mend what consul-agent and consul-leader say",
    from: [...NO_EPMD, ...CONSUL],
  },
  RESOLVER_DEAD: {
    means: "no name server of a domain answers",
    action: "start it, or give another --dns",
    from: [...NO_EPMD],
  },
  RESOLVER_REFUSES: {
    means: "the name servers refuse questions for a domain",
    action: "ask one that knows it: --dns",
    from: [...NO_EPMD],
  },
  RESOLVER_FOREIGN: {
    means: "the name servers answer for another part of DNS",
    action: "ask one that knows the domain: --dns",
    from: [...NO_EPMD],
  },
  RESOLVER_DAEMON: {
    means: "the srv-epmd here has other name servers than doctor, and none that knows a domain",
    action: "give serve what doctor has",
    from: [...OPTIONS],
  },

  NOMAD_API: {
    means: "Nomad's API does not answer, or refuses",
    action: "an identity for the task, or NOMAD_ADDR and NOMAD_TOKEN",
  },
  NOMAD_NO_INSTANCE: {
    means: "a service has no instance in Nomad",
    action: "see that its job runs, and the namespace",
  },
  NOMAD_NO_ENTRY: {
    means: "Nomad has no instance for a node here",
    action: 'a service block with provider = "nomad" for it',
    from: ["NOMAD_API", "NOMAD_NO_INSTANCE"],
  },
  NOMAD_NO_TAG: {
    means: "the instance of a node here lacks its alive name as a tag",
    action: "give the service block that tag",
  },
  NOMAD_OTHER_PORT: {
    means: "Nomad has a node here at a port where it is not",
    action: "the label of its port in the service block",
  },
  NODE_UNREACHABLE: {
    means: "no port leads to a node that Nomad is to register",
    action: "the group's ports",
    from: ["TASK_NO_PORT", "PORT_NO_LABEL", "PORT_UNMAPPED"],
  },

  CONSUL_DOWN: { means: "the Consul agent does not answer", action: "start it, or --consul" },
  CONSUL_OTHER: {
    means: "the srv-epmd here uses another Consul agent than the one that doctor asks",
    action: "--consul, beside a token that is given by hand",
  },
  CONSUL_TLS: {
    means: "TLS with the agent fails",
    action: "http or https in --consul; CA, name and client certificate",
  },
  CONSUL_NOT_AGENT: { means: "what answers at --consul is no Consul agent", action: "the URL of the agent" },
  CONSUL_CREDENTIAL: { means: "a credential for the agent cannot be read", action: "the file, and its rights" },
  CONSUL_LOGIN: { means: "the login gives no token", action: "the auth method and its binding rules" },
  CONSUL_NO_SERVER: {
    means: "the Consul agent here reaches no server, or knows none; others may see everything",
    action: "the way to the servers that it names, and these",
    from: ["CONSUL_OTHER"],
  },
  CONSUL_NO_LEADER: {
    means: "Consul's servers have no leader",
    action: "bring back a majority of them",
    from: ["CONSUL_OTHER"],
  },
  CONSUL_TWO_CLUSTERS: {
    means: "the agent and the name servers belong to two Consul clusters",
    action: "one for both, or join them",
    from: ["CONSUL_OTHER"],
  },
  CONNECT_NO_CERTIFICATE: {
    means: "the agent gives no certificate for Connect",
    action: "the token's right to write the service; Connect on the servers",
    from: [...CONSUL, "CONSUL_OTHER", "TOKEN_UNKNOWN"],
  },
  CONNECT_EXPIRES: {
    means: "a certificate of Connect ends soon and is not renewed",
    action: "see why the agent does not renew it",
  },
  CONNECT_NO_RELAY: {
    means: "the relay process takes no callers",
    action: "the log of serve and of relay; one --relay-socket",
    from: [...CONSUL, "CONNECT_NO_CERTIFICATE"],
  },
  TOKEN_UNKNOWN: { means: "Consul does not know the token", action: "one that exists", from: ["CONSUL_OTHER"] },
  TOKEN_DENIED: {
    means: "the token may not write a service",
    action: "the policy that is printed",
    from: ["CONSUL_OTHER"],
  },
  TOKEN_OTHER: {
    means: "doctor's token may not write a service, and serve has one that may",
    action: "give doctor the token of serve",
  },
  TOKEN_NOT_GIVEN: {
    means: "serve has a token for Consul, and doctor has none",
    action: "give doctor the token of serve",
  },
  TOKEN_CANNOT_READ: {
    means:
      "the token may not read all instances of a service, and DNS does not have them either, or patterns are matched with them",
    action: "the policy that is printed",
    from: ["CONSUL_OTHER"],
  },
  DEFAULT_TOKEN_CANNOT_READ: {
    means: "the same, where no token is given: the agent's default token, which answers DNS too, may not read them",
    action: "the policy that is printed, for that token; or a token for serve",
  },
  TOKEN_UNTOLD: {
    means: "the rights of the token are not known",
    action: "the policy that is printed",
    from: [...CONSUL, "CONSUL_OTHER"],
  },

  REGISTRATION_UNTOLD: {
    means: "the agent does not list what is registered",
    action: "a token with the right to read",
    from: [...CONSUL, "CONSUL_OTHER", "TOKEN_UNKNOWN", "TOKEN_DENIED"],
  },
  REGISTRATION_MISSING: {
    means: "a node here is not registered with the agent",
    action: "the line 'not published' in the log of serve",
    from: [
      ...[...OPTIONS, ...NO_EPMD, ...CONSUL, "CONSUL_OTHER", "TOKEN_UNKNOWN", "TOKEN_DENIED", "DOMAIN_UNPUBLISHED"],
      ...["PORT_NO_LABEL", "PORT_UNMAPPED", "NODE_REFUSED", "NODE_LEFT_OUT"],
    ],
  },
  REGISTRATION_NOT_PASSED: {
    means: "the TTL check of a node is critical: no srv-epmd passes it",
    action: "see that serve runs here, and its log",
    from: [...NO_EPMD, ...NO_LEADER, "CONSUL_OTHER", "TOKEN_UNKNOWN", "TOKEN_DENIED"],
  },
  REGISTRATION_MAINTENANCE: {
    means: "consul maint keeps a node out of DNS",
    action: "consul maint -disable when the work is done",
  },
  REGISTRATION_TCP: {
    means: "the TCP check of a node is critical",
    action: "let the VM listen there, or no --tcp-check",
    from: ["VM_PORT_CLOSED", "VM_ON_LOOPBACK", "PORT_UNMAPPED"],
  },
  REGISTRATION_OTHER_CHECK: { means: "another check keeps a node out of DNS", action: "mend what it tests" },
  REGISTRATION_DIFFERS: {
    means: "a node is registered otherwise than the options say",
    action: "one set of options for serve and doctor",
    from: [...OPTIONS, "CONSUL_OTHER"],
  },
  CATALOGUE_DIFFERS: {
    means: "the agent has a node, and Consul's servers do not have it so",
    action: "another token for serve, which registers it again",
    from: [...NO_LEADER, "CONSUL_OTHER", "TOKEN_UNKNOWN", "TOKEN_DENIED"],
  },
  CATALOGUE_ORPHAN: {
    means: "Consul's servers have a node of this machine that its agent does not have",
    action: "deregister it, as is printed",
    from: ["CONSUL_OTHER"],
  },
  NAME_TWICE: {
    means: "another daemon publishes a node of the same name",
    action: "stop one, or another name",
    from: ["CONSUL_OTHER"],
  },
  NAME_UNTOLD: {
    means: "it is not known whether another daemon publishes the name",
    action: "a token with the right to read",
    from: [...CONSUL, "TOKEN_UNKNOWN"],
  },

  DNS_UNAVAILABLE: {
    means: "a node here cannot be looked up",
    action: "what resolver says",
    from: [...RESOLVER, ...CONSUL],
  },
  DNS_MISSING: {
    means: "a node here is registered, and DNS does not have it",
    action: "the DNS of that Consul, and the agent's default token",
    from: [...NOT_IN_DNS, "CATALOGUE_DIFFERS"],
  },
  DNS_LEAVES_OUT: {
    means: "a node here is missing in DNS, and found in the catalogue",
    action: "the DNS of that Consul, and the agent's default token",
    from: [...NOT_IN_DNS, "CATALOGUE_DIFFERS"],
  },
  DNS_ELSEWHERE: {
    means: "a node here is found at another place than the options say",
    action: "the options of serve; or another machine has the name",
    from: [...OPTIONS, "NAME_TWICE", "REGISTRATION_DIFFERS"],
  },
  PUBLISHED_NOT_REACHED: {
    means: "a node here is not reached where it is published",
    action: "--advertise-address, --advertise-port, --port-label",
    from: [...["VM_PORT_CLOSED", "VM_ON_LOOPBACK", "VM_STOPPED", "VM_SILENT", "PORT_UNMAPPED", "NODE_OTHER_ON_PORT"]],
  },
  PUBLISHED_LOOPBACK: {
    means: "a node is published at a loopback address",
    action: "--advertise-address, or an address for the agent",
  },
  HAIRPIN_OTHER: {
    means: "another program answers where a node here is published",
    action: "the group's ports and the port of the VM",
    from: ["PORT_UNMAPPED"],
  },
} as const satisfies Record<string, Kind>;
