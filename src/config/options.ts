import { namePattern } from "../names/node-name.js";
import { ADMIN_PORT, DNS_PORT, EPMD_PORT } from "../net/endpoint.js";
import * as network from "./network-values.js";
import { loopbackRange } from "./network-values.js";
import * as values from "./values.js";

/**
 * The one table of options: it drives the command line, `--help`, the merge with variables and files, and the manual.
 * A key is the flag in camelCase: `maxTtl` is `--max-ttl`, SRV_EPMD_MAX_TTL and `max-ttl` in a file.
 */
export type Command = "serve" | "resolve" | "names" | "wait" | "doctor" | "ping" | "module" | "hosts" | "relay";
/** Titles of the topics that options are shown under. */
export const GROUPS = {
  listen: "Listening",
  resolve: "Resolution",
  publish: "Publication",
  consul: "Consul agent",
  nomad: "Nomad's catalogue",
  embedded: "Embedded DNS",
  gateway: "Gateway",
  mesh: "Consul Connect",
  admin: "Status and metrics over HTTP",
  module: "Where it goes",
  all: "General",
} as const;
type Group = keyof typeof GROUPS;

interface Spec<T> {
  readonly group: Group;
  readonly commands: readonly Command[];
  /** One sentence for `--help` and the manual. */
  readonly help: string;
  /** What stands behind the flag in `--help`, words that may be given in lower case: `IP:PORT|none`. None for a boolean. */
  readonly placeholder?: string;
  /** Throws a ValueError. */
  readonly parse: (text: string) => T;
  /** As a user would write it; or per command. */
  readonly default?: string | Partial<Record<Command, string>>;
  /** Default that only the machine knows, described for `--help` and the manual. */
  readonly defaultText?: string;
  /** The ecosystem's own variable. */
  readonly variable?: string;
  /** Never shown nor logged. */
  readonly secret?: boolean;
  /** An option without a flag and a variable of ours: it is set by the ecosystem's variable, some also in the file. */
  readonly only?: "variable" | "variable or file";
  /** Set by this program when it starts itself, and not shown. */
  readonly hidden?: boolean;
  /**
   * What the daemon tells of it to the commands that look up as it does: its value; the URL of an API, which they use only
   * when they have nothing secret to send there; or only that it was set. Nothing by default.
   */
  readonly told?: "value" | "url" | "name";
}

interface Option<T> extends Spec<T> {
  readonly list: boolean;
  readonly boolean: boolean;
}

type Always<T> = Option<T> & { readonly list: false; readonly has: "default" };
type Maybe<T> = Option<T> & { readonly list: false; readonly has: "none" };
type List<T> = Option<T> & { readonly list: true };

const one = <T>(spec: Spec<T> & { readonly default: NonNullable<Spec<T>["default"]> }) =>
  ({ ...spec, list: false, boolean: isBoolean(spec) }) as Always<T>;
const maybe = <T>(spec: Spec<T>) => ({ ...spec, list: false, boolean: isBoolean(spec) }) as Maybe<T>;
const list = <T>(spec: Spec<T>) => ({ ...spec, list: true, boolean: false }) as List<T>;
const isBoolean = (spec: Spec<never> | Spec<unknown>) => (spec.parse as unknown) === values.boolean;

/** doctor takes every option of serve, also those that it has no use for: in a command line only the word `serve` is replaced. */
const SERVE = ["serve", "doctor"] as const;
const RESOLVING = [...SERVE, "resolve", "wait", "ping"] as const;
const CONSUL = [...RESOLVING, "names"] as const;
const PROBING = ["resolve", "doctor", "ping"] as const;
const EPMD = [...SERVE, "resolve", "names", "wait", "ping"] as const;
const RELAYING = [...SERVE, "relay"] as const;
const EVERY = [...EPMD, "module", "hosts", "relay"] as const;

const OPTIONS = {
  port: one({
    group: "listen",
    commands: [...EPMD, "relay"],
    told: "value",
    help: "EPMD port; for serve 0 takes any free one",
    placeholder: "N",
    parse: values.listenPort,
    default: String(EPMD_PORT),
    variable: "ERL_EPMD_PORT",
  }),
  listen: list({
    group: "listen",
    commands: SERVE,
    told: "value",
    help: "listen on this address too and let strangers look up nodes there; a wildcard (0.0.0.0, ::) covers all",
    placeholder: "IP",
    parse: network.ip,
    defaultText: "127.0.0.1, ::1 and this machine's own addresses, for local peers",
    variable: "ERL_EPMD_ADDRESS",
  }),
  allow: list({
    group: "listen",
    commands: SERVE,
    help: "treat peers from this network as local",
    placeholder: "CIDR",
    parse: network.cidr,
  }),
  packetTimeout: one({
    group: "listen",
    commands: SERVE,
    help: "close a connection that is silent for this long before its request is complete",
    placeholder: "TIME",
    parse: values.durationFrom("100ms", "in which a client on a busy machine sends its request"),
    default: "60s",
  }),
  maxConnections: one({
    group: "listen",
    commands: SERVE,
    help: "most connections at once, registered nodes included; strangers get half of them",
    placeholder: "N",
    parse: values.integer(2, 1_000_000),
    default: "4096",
  }),
  maxNodes: one({
    group: "listen",
    commands: SERVE,
    help: "most names registered at once; a connection may hold 16 of them",
    placeholder: "N",
    parse: values.integer(1, 1_000_000),
    default: "4096",
  }),
  keepAlive: one({
    group: "listen",
    commands: SERVE,
    help: "a registered node's connection that is silent for this long is probed (TCP keep-alive); one whose machine has gone ends 10 s later",
    placeholder: "TIME",
    parse: values.keepAlive,
    default: "15s",
  }),
  registerUid: list({
    group: "listen",
    commands: SERVE,
    help: "let only processes of this user register nodes; peers on other machines are let in by --allow alone",
    placeholder: "UID|USER",
    parse: values.user,
    defaultText: "every user of this machine",
  }),
  relaxedCommandCheck: one({
    group: "listen",
    commands: SERVE,
    help: "let local peers unregister names (epmd -stop) and, with --allow-kill, kill while nodes are alive",
    parse: values.boolean,
    default: "false",
  }),
  allowKill: one({
    group: "listen",
    commands: SERVE,
    help: "obey epmd -kill from local peers; otherwise the answer is NO",
    parse: values.boolean,
    default: "false",
  }),

  replaceEpmd: one({
    group: "listen",
    commands: SERVE,
    help: "end a stock epmd that has the port and no living nodes, and take its place",
    parse: values.boolean,
    default: "false",
  }),

  domain: list({
    group: "resolve",
    commands: CONSUL,
    told: "value",
    help: "domain of the nodes here, svc.service.consul or just svc, or svc.service.nomad in Nomad's catalogue; <glob>=<domain> chooses by alive name",
    placeholder: "[GLOB=]DOMAIN",
    parse: network.domainRule,
  }),
  consulDomain: one({
    group: "resolve",
    commands: [...CONSUL, "hosts"],
    told: "value",
    help: "Consul's DNS domain: node@svc means node@svc.service.<this>",
    placeholder: "DOMAIN",
    parse: network.domainName,
    default: "consul",
  }),
  dns: list({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "name server, for everything or for names under a domain; the longest matching domain wins, and localhost is 127.0.0.1",
    placeholder: "[DOMAIN=]IP[:PORT]",
    parse: network.dnsServer,
    defaultText: "/etc/resolv.conf",
  }),
  srvName: one({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "name whose SRV records are asked; {name}, {host} and {service} stand for parts of the node name",
    placeholder: "TEMPLATE",
    parse: values.template("name", "host", "service"),
    default: "{name}.{host}",
  }),
  srvTarget: maybe({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "use only SRV records with this target, when one name has the records of all nodes, as in Kubernetes; placeholders as in --srv-name",
    placeholder: "TEMPLATE",
    parse: values.template("name", "host", "service"),
  }),
  catalogue: one({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "where nodes are looked up before DNS is asked: auto follows the services of Consul's catalogue, through --consul, that look-ups name; none asks DNS alone",
    placeholder: "auto|none",
    parse: values.oneOf("auto", "none"),
    default: "auto",
  }),
  family: one({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "address family that endpoints must have",
    placeholder: "any|4|6",
    parse: network.family,
    default: "any",
  }),
  timeout: one({
    group: "resolve",
    commands: EPMD,
    help: "longest time of one look-up; for wait, how long to wait",
    placeholder: "TIME",
    parse: values.durationFrom("100ms", "because name servers and other programs are asked within it"),
    default: { serve: "4s", doctor: "4s", resolve: "4s", ping: "4s", names: "5s", wait: "60s" },
  }),
  maxTtl: one({
    group: "resolve",
    commands: RESOLVING,
    help: "longest time that an answer is cached, a negative one too",
    placeholder: "TIME",
    parse: values.duration,
    default: "1s",
  }),
  staleTtl: one({
    group: "resolve",
    commands: RESOLVING,
    help: "how long the last good answer serves when every name server fails (RFC 8767)",
    placeholder: "TIME",
    parse: values.duration,
    default: "1h",
  }),
  preferReachable: one({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "of several endpoints, the one that accepts a connection comes first",
    parse: values.boolean,
    default: "true",
  }),
  node: list({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "static entry name@host=address:port",
    placeholder: "ENTRY",
    parse: network.staticNode,
  }),
  nodesFile: maybe({
    group: "resolve",
    commands: RESOLVING,
    told: "name",
    help: "file of static entries, one a line, read again when it changes and on SIGHUP",
    placeholder: "FILE",
    parse: values.text,
  }),
  fallback: list({
    group: "resolve",
    commands: RESOLVING,
    told: "value",
    help: "for a host without SRV records: its own addresses, with the port that the EPMD there gives (epmd), else with port N",
    placeholder: "epmd|N",
    parse: network.fallback,
  }),
  match: maybe({
    group: "resolve",
    commands: ["names"],
    help: "list the nodes on all machines that match, such as node_*@svc; ask a srv-epmd, or Consul or Nomad with --cluster",
    placeholder: "PATTERN",
    parse: namePattern,
  }),
  cluster: one({
    group: "resolve",
    commands: ["names", "doctor"],
    help: "names: ask Consul, or Nomad for a service under service.nomad, for the instances of the services that --match or --domain names, with their health; doctor: a verdict on all nodes that are named or match",
    parse: values.boolean,
    default: "false",
  }),
  via: maybe({
    group: "resolve",
    commands: ["resolve"],
    help: "ask this EPMD, ours or stock, instead of resolving here",
    placeholder: "IP[:PORT]",
    parse: network.epmdAddress,
  }),
  probe: one({
    group: "resolve",
    commands: ["resolve"],
    help: "ask each endpoint who is there, with the first step of the distribution handshake",
    parse: values.boolean,
    default: "false",
  }),
  cookieFile: maybe({
    group: "resolve",
    commands: [...SERVE, ...PROBING],
    help: "file with the cookie of the cluster, as ~/.erlang.cookie: nodes that are probed are joined for a moment, and their cookie compared; serve asks the VMs here, for /readyz?cluster=",
    placeholder: "FILE",
    parse: values.text,
  }),
  cookieEnv: maybe({
    group: "resolve",
    commands: PROBING,
    help: "the same with the cookie in the variable of this name",
    placeholder: "NAME",
    parse: values.text,
  }),
  count: maybe({
    group: "resolve",
    commands: ["ping"],
    help: "end after this many tries",
    placeholder: "N",
    parse: values.integer(1, 1_000_000_000),
    defaultText: "until Ctrl-C",
  }),
  watch: one({
    group: "resolve",
    commands: ["resolve", "doctor"],
    help: "look again every second (doctor --cluster: every two) and show what changes, until Ctrl-C",
    parse: values.boolean,
    default: "false",
  }),

  register: maybe({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "where nodes are published",
    placeholder: "consul|none",
    parse: values.oneOf("consul", "none"),
    defaultText: "consul when --domain lies under the Consul domain and --dns-listen is not given",
  }),
  service: maybe({
    group: "publish",
    commands: RESOLVING,
    told: "value",
    help: "Consul service of the nodes; in a mesh the one, by name or id, whose sidecar proxy has the upstreams",
    placeholder: "NAME",
    parse: network.label,
    defaultText: "svc of a domain svc.service.consul",
  }),
  instance: maybe({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "distinguishes the entries of this daemon from those of others: their ids are srv-epmd:<instance>:<name>",
    placeholder: "ID",
    parse: values.text,
    defaultText: "NOMAD_SHORT_ALLOC_ID, else the host name, with the port when it is not 4369",
  }),
  nodeHost: maybe({
    group: "publish",
    commands: RESOLVING,
    told: "value",
    help: "host part of the published nodes' names",
    placeholder: "HOST",
    parse: network.hostName,
    defaultText: "the domain",
  }),
  tag: list({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "an additional tag of every published node",
    placeholder: "TAG",
    parse: values.text,
  }),
  weight: one({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "SRV weight of the published nodes",
    placeholder: "N",
    parse: values.integer(1, 65535),
    default: "1",
  }),
  helpers: one({
    group: "publish",
    commands: RESOLVING,
    told: "value",
    help: "short-lived nodes (rpc-, rabbitmqcli-, ...): local keeps them out of Consul, ask also looks those of others up at the EPMDs of their service, publish publishes them",
    placeholder: "local|ask|publish",
    parse: values.oneOf("local", "ask", "publish"),
    default: "local",
  }),
  publish: list({
    group: "publish",
    commands: RESOLVING,
    told: "value",
    help: "publish only nodes whose alive name matches; look-ups of a service do not use other nodes here; an exact name publishes a helper too",
    placeholder: "GLOB",
    parse: values.glob,
    defaultText: "every node",
  }),
  publishNode: list({
    group: "publish",
    commands: RESOLVING,
    told: "value",
    help: "a node that never speaks EPMD, alive while ERL_DIST_PORT accepts connections",
    placeholder: "NODE",
    parse: network.configuredNode,
  }),
  advertiseAddress: list({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "address that peers dial, one a family; {name}, {host} and {service} may stand in a host name",
    placeholder: "ADDRESS",
    parse: network.addressOrTemplate,
    defaultText: "NOMAD_HOST_IP_<label>, else the agent's",
  }),
  advertisePort: maybe({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "port that peers dial",
    placeholder: "N",
    parse: values.port,
    defaultText: "the host side of the Nomad port, else the node's own",
  }),
  portLabel: maybe({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "label of the Nomad port that is mapped to the nodes' distribution port",
    placeholder: "LABEL",
    parse: values.text,
    defaultText: "the label whose task side is the node's port",
  }),
  ttl: one({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "TTL of the Consul check, which is passed after each third of it",
    placeholder: "TIME",
    parse: values.durationFrom(
      "1s",
      "because the check is passed each third of it, and a node whose check is late drops out of DNS",
    ),
    default: "15s",
  }),
  tcpCheck: one({
    group: "publish",
    commands: SERVE,
    told: "value",
    help: "let Consul probe the distribution port too",
    parse: values.boolean,
    default: "false",
  }),
  deregisterAfter: one({
    group: "publish",
    commands: SERVE,
    help: "let Consul remove an entry that has been critical for this long (Consul's minimum is 1m)",
    placeholder: "TIME",
    parse: values.durationFrom("1m", "which is Consul's minimum"),
    default: "5m",
  }),
  deregisterOnStop: one({
    group: "publish",
    commands: SERVE,
    help: "when the daemon stops, remove also the entries of nodes that are alive",
    parse: values.boolean,
    default: "false",
  }),

  consul: one({
    group: "consul",
    commands: CONSUL,
    told: "url",
    help: "the Consul agent: http://host:port, https://host:port or unix:///path",
    placeholder: "URL",
    parse: network.agentUrl,
    default: "http://127.0.0.1:8500",
    variable: "CONSUL_HTTP_ADDR",
  }),
  consulSsl: one({
    group: "consul",
    commands: CONSUL,
    help: "use https where CONSUL_HTTP_ADDR names no scheme",
    parse: values.boolean,
    default: "false",
    variable: "CONSUL_HTTP_SSL",
    only: "variable",
  }),
  consulSslVerify: one({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "verify the agent's certificate",
    parse: values.boolean,
    default: "true",
    variable: "CONSUL_HTTP_SSL_VERIFY",
    only: "variable",
  }),
  consulTlsServerName: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "name that the agent's certificate must carry",
    placeholder: "NAME",
    parse: values.text,
    variable: "CONSUL_TLS_SERVER_NAME",
    only: "variable",
  }),
  consulToken: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "ACL token",
    placeholder: "TOKEN",
    parse: values.token,
    variable: "CONSUL_HTTP_TOKEN",
    secret: true,
    only: "variable or file",
  }),
  consulTokenFile: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "file with the ACL token, read again after a refusal, every 30 s and on SIGHUP",
    placeholder: "FILE",
    parse: values.text,
    variable: "CONSUL_HTTP_TOKEN_FILE",
  }),
  consulAuthMethod: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "log in to Consul by this auth method, with the JWT of --consul-bearer-token-file, and out again at the end",
    placeholder: "NAME",
    parse: values.text,
  }),
  consulBearerTokenFile: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "file with the JWT to log in with, read at each login",
    placeholder: "FILE",
    parse: values.text,
    defaultText: "nomad_consul_default.jwt in NOMAD_SECRETS_DIR, in a Nomad task",
  }),
  consulCa: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "file with the CA certificates that the agent's is checked against",
    placeholder: "FILE",
    parse: values.text,
    variable: "CONSUL_CACERT",
    only: "variable or file",
  }),
  consulCert: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "file with the client certificate",
    placeholder: "FILE",
    parse: values.text,
    variable: "CONSUL_CLIENT_CERT",
    only: "variable or file",
  }),
  consulKey: maybe({
    group: "consul",
    commands: CONSUL,
    told: "name",
    help: "file with the client certificate's key",
    placeholder: "FILE",
    parse: values.text,
    variable: "CONSUL_CLIENT_KEY",
    only: "variable or file",
  }),

  nomadAddr: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "url",
    help: "Nomad's HTTP API, which is asked for nodes under service.nomad: http://host:port, https://host:port or unix:///path",
    placeholder: "URL",
    parse: network.agentUrl,
    defaultText: "unix://$NOMAD_SECRETS_DIR/api.sock in an allocation, else http://127.0.0.1:4646",
    variable: "NOMAD_ADDR",
  }),
  nomadNamespace: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "value",
    help: "namespace of svc.service.nomad; another is written in the host, svc.other.service.nomad",
    placeholder: "NAME",
    parse: network.nomadNamespace,
    defaultText: "default",
    variable: "NOMAD_NAMESPACE",
    only: "variable",
  }),
  nomadToken: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "ACL token, or the identity that Nomad gives a task; in an allocation the file of the identity comes first, unless NOMAD_ADDR is set",
    placeholder: "TOKEN",
    parse: values.token,
    variable: "NOMAD_TOKEN",
    secret: true,
    only: "variable or file",
  }),
  nomadTokenFile: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "file with the token, read for each request",
    placeholder: "FILE",
    parse: values.text,
    defaultText: "$NOMAD_SECRETS_DIR/nomad_token where it is there",
  }),
  nomadCa: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "file with the CA certificates that Nomad's is checked against",
    placeholder: "FILE",
    parse: values.text,
    variable: "NOMAD_CACERT",
    only: "variable or file",
  }),
  nomadCert: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "file with the client certificate",
    placeholder: "FILE",
    parse: values.text,
    variable: "NOMAD_CLIENT_CERT",
    only: "variable or file",
  }),
  nomadKey: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "file with the client certificate's key",
    placeholder: "FILE",
    parse: values.text,
    variable: "NOMAD_CLIENT_KEY",
    only: "variable or file",
  }),
  nomadTlsServerName: maybe({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "name that Nomad's certificate must carry",
    placeholder: "NAME",
    parse: values.text,
    variable: "NOMAD_TLS_SERVER_NAME",
    only: "variable",
  }),
  nomadSkipVerify: one({
    group: "nomad",
    commands: CONSUL,
    told: "name",
    help: "do not verify Nomad's certificate",
    parse: values.boolean,
    default: "false",
    variable: "NOMAD_SKIP_VERIFY",
    only: "variable",
  }),

  dnsListen: maybe({
    group: "embedded",
    commands: RESOLVING,
    told: "value",
    help: "answer SRV, A and AAAA for the nodes here on this address, over UDP and TCP: no Consul needed",
    placeholder: "IP:PORT",
    parse: network.ipListenPort,
  }),

  gateway: one({
    group: "gateway",
    commands: RESOLVING,
    told: "value",
    help: "serve unmodified VMs: peer host names resolve to loopback addresses, and relays there lead to the peers",
    parse: values.boolean,
    default: "false",
  }),
  gatewayDomain: list({
    group: "gateway",
    commands: RESOLVING,
    told: "value",
    help: "the host of this name, and all hosts under it, resolve to loopback addresses",
    placeholder: "DOMAIN",
    parse: network.domainName,
    defaultText: "--domain",
  }),
  gatewayRange: one({
    group: "gateway",
    commands: [...RESOLVING, "hosts"],
    told: "value",
    help: "loopback addresses that stand for hosts",
    placeholder: "CIDR",
    parse: loopbackRange,
    default: "127.64.0.0/10",
  }),
  gatewayListen: one({
    group: "gateway",
    commands: RESOLVING,
    told: "value",
    help: "address of the gateway's DNS, over UDP and TCP; none when VMs use /etc/hosts or an inetrc instead (srv-epmd hosts)",
    placeholder: "IP:PORT|none",
    parse: network.ipPortOrNone(DNS_PORT),
    default: "127.0.0.1:53",
  }),
  gatewayForward: list({
    group: "gateway",
    commands: RESOLVING,
    told: "value",
    help: "name server for every question that is not the gateway's",
    placeholder: "IP[:PORT]",
    parse: network.ipPort(DNS_PORT),
    defaultText: "/etc/resolv.conf without ourselves, else --dns",
  }),
  relayPorts: one({
    group: "gateway",
    commands: RELAYING,
    help: "ports that relays listen on; outside the range that the system gives out by itself",
    placeholder: "LOW-HIGH",
    parse: network.portRange,
    default: "61000-64999",
  }),
  relaySocket: maybe({
    group: "gateway",
    commands: RELAYING,
    help: "control socket of the relay process",
    placeholder: "PATH",
    parse: values.text,
    defaultText: "srv-epmd/relay-<network namespace>-<port>.sock in the runtime directory",
  }),
  runtimeDir: maybe({
    group: "gateway",
    commands: RELAYING,
    help: "where the control socket of the relay process is, for users other than root",
    placeholder: "DIR",
    parse: values.text,
    variable: "XDG_RUNTIME_DIR",
    only: "variable",
  }),
  untilIdle: one({
    group: "gateway",
    commands: ["relay"],
    help: "end when no daemon is connected and no link is open for a minute; serve starts its relay process with this option",
    parse: values.boolean,
    default: "false",
    hidden: true,
  }),
  format: one({
    group: "gateway",
    commands: ["hosts"],
    help: "hosts for /etc/hosts, inetrc for a file that ERL_INETRC names",
    placeholder: "hosts|inetrc",
    parse: values.oneOf("hosts", "inetrc"),
    default: "hosts",
  }),

  mesh: one({
    group: "mesh",
    commands: RESOLVING,
    told: "value",
    help: "reach nodes that do not live here through Connect upstreams only: a missing one is not found",
    parse: values.boolean,
    default: "false",
  }),
  connectNative: one({
    group: "mesh",
    commands: RESOLVING,
    told: "value",
    help: "be a native end of Consul Connect: nodes on other machines are reached by mutual TLS with Consul's certificates, without a proxy",
    parse: values.boolean,
    default: "false",
  }),
  connectListen: maybe({
    group: "mesh",
    commands: SERVE,
    help: "where the relay process takes mutual TLS for the nodes here, at all addresses unless one is given",
    placeholder: "[IP:]PORT",
    parse: network.listenPlace,
    defaultText: "any free port; in Nomad that of --port-label",
  }),
  connectRecheck: one({
    group: "mesh",
    commands: SERVE,
    help: "how often intentions are asked again about links that stand, which are cut when they are denied; none never",
    placeholder: "TIME|none",
    parse: values.durationOrNone("1s", "in which an agent answers for all links"),
    default: "30s",
  }),
  upstreamService: one({
    group: "mesh",
    commands: RESOLVING,
    told: "value",
    help: "destination of a node's upstream; {name}, {host} and {service} stand for parts of the node name; implies --mesh",
    placeholder: "TEMPLATE",
    parse: values.template("name", "host", "service"),
    default: "{service}-{name}",
  }),

  admin: one({
    group: "admin",
    commands: EPMD,
    help: "where the status page, health, metrics and the JSON API are served over HTTP, or none; resolve, wait, names, ping and doctor ask there for the settings of the srv-epmd here",
    placeholder: "IP:PORT|none",
    parse: network.ipPortOrNone(undefined),
    default: `127.0.0.1:${ADMIN_PORT}`,
  }),
  adminHost: list({
    group: "admin",
    commands: SERVE,
    help: "host name under which the status page may be asked, beside localhost and IP addresses",
    placeholder: "HOST",
    parse: network.hostName,
  }),

  out: maybe({
    group: "module",
    commands: ["module"],
    help: "folder for srv_epmd.erl, compiled there when erlc is on the PATH; - prints it",
    placeholder: "DIR",
    parse: values.text,
  }),
  app: maybe({
    group: "module",
    commands: ["module"],
    help: "folder for an OTP application that rebar3 and Mix take as a path dependency",
    placeholder: "DIR",
    parse: values.text,
  }),

  config: maybe({
    group: "all",
    commands: EVERY,
    help: "JSON or YAML file with options, keyed by flag name",
    placeholder: "FILE",
    parse: values.text,
  }),
  logLevel: one({
    group: "all",
    commands: EVERY,
    help: "how much is logged",
    placeholder: values.LOG_LEVELS.join("|"),
    parse: values.oneOf(...values.LOG_LEVELS),
    default: {
      serve: "info",
      relay: "info",
      resolve: "warn",
      names: "warn",
      wait: "warn",
      doctor: "warn",
      ping: "warn",
      module: "warn",
      hosts: "warn",
    },
  }),
  logFormat: maybe({
    group: "all",
    commands: EVERY,
    help: "form of the log lines",
    placeholder: "json|pretty",
    parse: values.oneOf("json", "pretty"),
    defaultText: "pretty on a terminal, else json",
  }),
  json: one({
    group: "all",
    commands: ["resolve", "names", "wait", "doctor", "ping"],
    help: "results as JSON, one object a line",
    parse: values.boolean,
    default: "false",
  }),
  trace: one({
    group: "all",
    commands: ["resolve"],
    help: "show every step: sources, DNS queries and their records, probes, and what a VM would dial",
    parse: values.boolean,
    default: "false",
  }),
  all: one({
    group: "all",
    commands: ["doctor"],
    help: "show what each check has found, before the verdict",
    parse: values.boolean,
    default: "false",
  }),
} as const;

export type OptionKey = keyof typeof OPTIONS;

type ValueOf<O> =
  O extends List<infer T>
    ? readonly T[]
    : O extends Always<infer T>
      ? T
      : O extends Maybe<infer T>
        ? T | undefined
        : never;

/** Parsed values of all options; those that the command does not have stand at their defaults. */
export type Settings = { readonly [K in OptionKey]: ValueOf<(typeof OPTIONS)[K]> };

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

export function optionOf(key: OptionKey): Option<unknown> {
  return OPTIONS[key];
}

/** Whether it has a flag, and a variable of ours. */
export function hasFlag(key: OptionKey): boolean {
  return optionOf(key).only === undefined;
}

/** Whether it may stand in the configuration file. */
export function isFileKey(key: OptionKey): boolean {
  return optionOf(key).only !== "variable";
}

export function flagOf(key: OptionKey): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const KEY_OF_FLAG: ReadonlyMap<string, OptionKey> = new Map(OPTION_KEYS.map((key) => [flagOf(key), key]));

/** @param flag without dashes */
export function keyOfFlag(flag: string): OptionKey | undefined {
  return KEY_OF_FLAG.get(flag);
}

export function variableOf(key: OptionKey): string {
  return variableNamed(flagOf(key));
}

/** @param flag without dashes */
export function variableNamed(flag: string): string {
  return `SRV_EPMD_${flag.replaceAll("-", "_").toUpperCase()}`;
}

/** Default of an option for a command, as a user would write it. */
export function defaultOf(key: OptionKey, command: Command): string | undefined {
  const value = optionOf(key).default;
  return typeof value === "object" ? value[command] : value;
}
