import type { Command, OptionKey } from "../config/options.js";
import type { CommandContext, ExitCode } from "./io.js";

export interface CommandDefinition {
  readonly name: Command;
  readonly summary: string;
  /** As in `resolve <name..>`. */
  readonly usage: string;
  readonly operands: { readonly least: number; readonly most: number; readonly describe: string };
  readonly examples: readonly [string, string][];
  /** The options that `--help` lists, the most used ones. Absent: it lists every option. */
  readonly first?: readonly OptionKey[];
  /** It runs until it is stopped, and writes a log. */
  readonly isService?: boolean;
  /** Loads what the command needs, and nothing before it runs. */
  readonly load: () => Promise<(context: CommandContext) => Promise<ExitCode>>;
}

export const COMMANDS: readonly CommandDefinition[] = [
  {
    name: "serve",
    usage: "serve",
    summary: "be the EPMD of this machine or task",
    operands: { least: 0, most: 0, describe: "" },
    examples: [
      ["srv-epmd serve --domain svc.service.consul", "publish nodes in Consul as service svc, look up others there"],
      ["srv-epmd serve --domain demo.test --dns-listen 127.0.0.1:8653", "no Consul: answer DNS for the nodes here"],
    ],
    first: [
      "domain",
      "dns",
      "listen",
      "port",
      "consul",
      "consulTokenFile",
      "advertiseAddress",
      "gateway",
      "dnsListen",
      "admin",
    ],
    isService: true,
    load: async () => (await import("./serve.js")).serve,
  },
  {
    name: "resolve",
    usage: "resolve <name..>",
    summary: "look nodes up as the daemon would",
    operands: { least: 1, most: Number.POSITIVE_INFINITY, describe: "nodes: name@host, or a bare name with --domain" },
    examples: [
      ["srv-epmd resolve node_b@svc", "endpoints of node_b.svc.service.consul"],
      ["srv-epmd resolve node_b@svc --dns 127.0.0.1:8600 --json", "from this name server, for programs"],
      ["srv-epmd resolve node_b@svc --trace --probe", "every step, and who is really there"],
      ["srv-epmd resolve node_b@svc --via 10.0.0.1", "what the EPMD on 10.0.0.1 says"],
    ],
    first: ["domain", "dns", "node", "fallback", "timeout", "via", "probe", "trace", "watch", "json"],
    load: async () => (await import("./resolve.js")).resolve,
  },
  {
    name: "names",
    usage: "names [epmd]",
    summary: "list the nodes registered with an EPMD, ours or stock",
    operands: { least: 0, most: 1, describe: "ip[:port] of the EPMD, or localhost[:port]; default this machine's" },
    examples: [
      ["srv-epmd names 10.0.0.1", "the nodes that live on 10.0.0.1"],
      ["srv-epmd names --match 'node_*@svc'", "the nodes of the service, wherever they live"],
      ["srv-epmd names --cluster --match '*@svc'", "all that Consul has of the service, with its health"],
    ],
    first: ["match", "cluster", "domain", "consul", "port", "timeout", "json"],
    load: async () => (await import("./names.js")).names,
  },
  {
    name: "wait",
    usage: "wait [name]",
    summary: "wait until this machine's EPMD answers, or a node resolves",
    operands: { least: 0, most: 1, describe: "node to wait for: name@host" },
    examples: [["srv-epmd wait && bin/my_release start", "start a release when it can register"]],
    first: ["timeout", "port", "domain", "dns", "json"],
    load: async () => (await import("./wait.js")).wait,
  },
  {
    name: "doctor",
    usage: "doctor [name]",
    summary: "say what is wrong here or on the way to a node, the root cause first; takes what serve was given",
    operands: { least: 0, most: 1, describe: "node that is not reached: name@host" },
    examples: [
      [
        "srv-epmd doctor --domain svc.service.consul",
        "what serve --domain svc.service.consul needs here, and whether it works",
      ],
      ["srv-epmd doctor node_b@svc", "why a VM here does not reach node_b@svc"],
    ],
    first: ["domain", "consul", "consulTokenFile", "all", "json"],
    load: async () => (await import("./doctor.js")).doctor,
  },
  {
    name: "module",
    usage: "module",
    summary: "write the Erlang module through which a VM reaches every node (-epmd_module srv_epmd)",
    operands: { least: 0, most: 0, describe: "" },
    examples: [
      ["srv-epmd module --out /opt/srv_epmd", "for erl -pa /opt/srv_epmd -start_epmd false -epmd_module srv_epmd"],
      ["srv-epmd module --app deps/srv_epmd", "for releases: an application to depend on"],
    ],
    load: async () => (await import("./module.js")).writeModule,
  },
  {
    name: "hosts",
    usage: "hosts <host..>",
    summary: "lines for /etc/hosts or an inetrc, where the gateway cannot be the machine's name server",
    operands: { least: 1, most: Number.POSITIVE_INFINITY, describe: "host parts of the peers' names: svc, n1.svc" },
    examples: [["srv-epmd hosts rmq.service.consul >> /etc/hosts", "for serve --gateway --gateway-listen none"]],
    load: async () => (await import("./hosts.js")).hosts,
  },
  {
    name: "relay",
    usage: "relay",
    summary: "the gateway's relays, in a process that outlives the daemon",
    operands: { least: 0, most: 0, describe: "" },
    examples: [
      ["srv-epmd relay --relay-socket /run/srv-epmd/relay.sock", "beside serve --gateway with the same socket"],
    ],
    isService: true,
    load: async () => (await import("./relay.js")).relay,
  },
];
