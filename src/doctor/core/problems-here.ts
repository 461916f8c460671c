import { CONSUL, type Kind, NO_EPMD, OPTIONS, REGISTRATION, RESOLVER } from "./problem-kind.js";

/** Of this machine, its EPMD, its VMs and their names. */
export const PROBLEMS_HERE = {
  OPTIONS_REFUSED: {
    means: "serve does not start with these options",
    action: "put right what it names, and start serve; beside one that runs, give doctor its options",
  },
  OPTIONS_DIFFER: {
    means: "the srv-epmd here has other options than doctor",
    action: "give doctor what serve has, by variables where arguments are not passed on",
  },
  TASK_NO_PORT: {
    means: "the group of this Nomad task maps no port into its bridge network",
    action: "give the group a port, and let the VM listen on it",
  },

  DNS_LISTEN_DENIED: {
    means: "this user may not listen where the DNS of serve is to be",
    action: "CAP_NET_BIND_SERVICE, root or the sysctl; or another --gateway-listen or --dns-listen",
  },
  DNS_LISTEN_FAILS: {
    means:
      "the DNS of serve cannot listen where it is to be: another program has the port, or the address is not of this machine",
    action: "stop that program, or give another address",
  },
  EPMD_NOTHING: {
    means: "nothing listens on the EPMD port",
    action: "start srv-epmd serve in the network namespace of the VM",
    from: ["OPTIONS_REFUSED", "DNS_LISTEN_DENIED", "DNS_LISTEN_FAILS"],
  },
  EPMD_OTHER_PORT: {
    means: "nothing listens on the EPMD port, and a srv-epmd has another one",
    action: "one port for srv-epmd, VMs and doctor",
  },
  EPMD_STOCK: {
    means: "a stock epmd has the EPMD port",
    action: "end it, start serve with --replace-epmd, and VMs with -start_epmd false",
  },
  EPMD_UNUSUAL_PORT: {
    means: "srv-epmd has another port than 4369, at which VMs ask unless they are told",
    action: "ERL_EPMD_PORT for every VM, or --port 4369 for serve",
  },
  EPMD_NOT_EPMD: {
    means: "another program has the EPMD port, or what has it does not answer",
    action: "stop it, or use another port",
  },
  LOOPBACKS_DIFFER: {
    means: "two programs have the EPMD port at 127.0.0.1 and at ::1",
    action: "stop the one that is not srv-epmd, and restart srv-epmd",
    from: [...NO_EPMD],
  },
  LOOPBACK_UNSERVED: {
    means: "nothing listens on the EPMD port of one of the two loopback addresses",
    action: "restart srv-epmd, which listens on both",
    from: [...NO_EPMD],
  },
  OWN_ADDRESS_UNSERVED: {
    means: "nothing listens on the EPMD port at the address after which stock VMs here are named",
    action: "start srv-epmd without --listen, or with --listen for that address too",
    from: [...NO_EPMD],
  },
  OWN_ADDRESS_TAKEN: {
    means: "another program has the EPMD port at that address",
    action: "stop it",
    from: [...NO_EPMD],
  },

  VM_UNREGISTERED: {
    means: "a VM runs here and is not registered",
    action: "restart it: it started before srv-epmd, or lost its connection",
    from: [...NO_EPMD],
  },
  VM_OTHER_EPMD: {
    means: "a VM here asks an EPMD at another port",
    action: "one ERL_EPMD_PORT for it and srv-epmd",
    from: ["EPMD_OTHER_PORT"],
  },
  VM_ASKS_NO_EPMD: {
    means: "something listens on ERL_DIST_PORT, and no node is registered",
    action: "restart the VM, or publish it with --publish-node",
    from: [...NO_EPMD],
  },
  VM_PORT_CLOSED: {
    means: "nothing listens on the port that a node has registered",
    action: "run srv-epmd in the network namespace of the VM, or restart the VM",
  },
  VM_ON_LOOPBACK: {
    means: "a VM listens on a loopback address alone, so no other machine reaches it",
    action: "take inet_dist_use_interface away",
  },
  VM_OPEN: {
    means: "other machines reach a VM past the mutual TLS of Connect",
    action: "let it listen on loopback alone: -kernel inet_dist_use_interface",
  },
  VM_DIST_PORT_UNUSED: {
    means: "ERL_DIST_PORT is set, and no node listens there",
    action: "give the VM the srv_epmd module, or -kernel inet_dist_listen_min and _max",
  },
  VM_STOPPED: { means: "a VM is stopped by a signal or a debugger", action: "kill -CONT, or end the debugger" },
  VM_SILENT: { means: "a VM accepts connections and does not answer", action: "look at its load" },
  VM_HIDDEN: { means: "a VM here is a hidden node", action: "start it without -hidden if it is to be a member" },
  VM_NEVER_CONNECTS: {
    means: "a VM here does not connect by itself, or only once (dist_auto_connect)",
    action: "connect by net_kernel:connect_node/1, or take the parameter away",
  },
  LINK_STUCK: {
    means: "a link has octets that are not acknowledged: the other machine is down, or packets are lost",
    action: 'that machine, firewalls; where large packets alone are lost, let ICMP "fragmentation needed" through',
    from: ["PEER_NO_ANSWER", "PEER_NO_ROUTE", "PEER_CRITICAL", "PEER_LARGE_LOST"],
  },

  PORT_NO_LABEL: { means: "--port-label is none of the group's ports", action: "a label that the group has, or none" },
  PORT_UNMAPPED: {
    means: "no mapped port leads to a node",
    action: "let the VM listen on the task side of a mapped port, or say where peers reach it",
    from: ["TASK_NO_PORT", "PORT_NO_LABEL"],
  },
  PORT_UNRESERVED: {
    means: "a node listens on a port that Nomad may give to another task",
    action: "let it listen on the port of the label",
  },

  NAME_ILLEGAL: {
    means: "no VM can have the name that was asked for",
    action: "letters, digits, _ and - before the @",
    ofPeer: true,
  },
  NAME_NOT_IN_DNS: { means: "DNS cannot carry the name", action: "a shorter name", ofPeer: true },
  NAME_CAPITALS: {
    means: "the host part that was asked for has capitals, which DNS ignores and a VM does not",
    action: "write it as the VM has it",
  },
  NODE_LEFT_OUT: {
    means: "the options leave a node out of what is published",
    action: "a --domain or --publish that matches its name",
    from: [...OPTIONS, "DOMAIN_UNPUBLISHED"],
  },
  NODE_REFUSED: { means: "a node cannot be published under its name", action: "another name", from: ["PORT_NO_LABEL"] },
  NODE_OTHER_ON_PORT: { means: "another node listens on the port that a node has registered", action: "restart both" },
  HOST_LOOPBACK: {
    means: "a VM calls itself after this machine's loopback; a failure where it is published for others",
    action: "start it with the published name; nothing where all peers are here",
    from: [...OPTIONS],
  },
  HOST_BRIDGE: {
    means: "a VM calls itself after its address in the bridge network of a Nomad client",
    action: "start it with the published name",
  },
  HOST_MACHINE_NAME: {
    means:
      "a stock VM calls itself after its machine, and is published under another name; a failure where srv-epmd serves no other machine",
    action: "the published name with the module or the gateway, or --node-host; --listen for stock VMs",
    from: [...OPTIONS],
  },
  HOST_NOT_PUBLISHED: {
    means:
      "a VM calls itself after an address at which it is not published; a failure where srv-epmd serves no other machine there",
    action: "publish that address, or the published name",
    from: [...OPTIONS],
  },
  HOST_ELSEWHERE: {
    means:
      "a VM calls itself after an address that is not of this machine; a failure where what is there does not have it",
    action: "a host part that leads here",
  },
  HOST_WITHOUT_DOMAIN: {
    means: "a VM calls itself after a service, and without --domain it is not published",
    action: "give serve that --domain; nothing where all peers are here",
    from: [...OPTIONS],
  },
  HOST_DIFFERS: {
    means: "the name of a VM and the one that is published differ",
    action: "one name for both: -name, --node-host or --domain",
    from: [...OPTIONS],
  },

  RELAY_DOWN: {
    means: "the gateway's relay process does not answer",
    action: "start srv-epmd relay, or kill -CONT for one that is stopped; the folder that the reason names",
    from: [...NO_EPMD],
  },
  GATEWAY_UNUSED: {
    means: "the resolver here gives no addresses of the gateway",
    action: "make it the resolver, or srv-epmd hosts",
    from: [...NO_EPMD, "DNS_LISTEN_DENIED", "DNS_LISTEN_FAILS", "PEER_HOSTS_LINE"],
  },
  NODE_NONE: {
    means: "no node is registered in an allocation that has a port for one",
    action: "the log of the VM's task",
    from: ["VM_UNREGISTERED", "VM_OTHER_EPMD", "VM_ASKS_NO_EPMD"],
  },
  DAEMON_STOPPING: { means: "the srv-epmd here is stopping", action: "wait for the next one" },
  NOT_READY: {
    means: "/readyz of the srv-epmd here is 503",
    action: "the reason, and the log of serve",
    from: [
      ...["RELAY_DOWN", "CONNECT_NO_RELAY", "CONNECT_NO_CERTIFICATE", "NODE_REFUSED", "NODE_UNREACHABLE"],
      ...["NOMAD_API", "NOMAD_NO_INSTANCE", "NOMAD_NO_ENTRY", "NOMAD_NO_TAG", "NOMAD_OTHER_PORT"],
      ...["TOKEN_UNKNOWN", "TOKEN_DENIED", "PORT_UNMAPPED", "PORT_NO_LABEL"],
      ...[...CONSUL, ...REGISTRATION],
    ],
  },

  STREAMS_HOST: {
    means: "RabbitMQ's streams do not reach this machine by its host name",
    action: "an address for it that the other brokers reach",
  },
  CLOCK_DIFFERS: { means: "the clocks of this machine and of the agent differ", action: "set them" },
  CHECK_LATE: {
    means: "a check did not end in time",
    action: "what resolver and consul-agent say",
    from: [...RESOLVER, ...CONSUL],
  },
  CHECK_BROKEN: { means: "a check failed by a fault of doctor", action: "report it" },
} as const satisfies Record<string, Kind>;
