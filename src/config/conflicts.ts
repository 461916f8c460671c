import { ConfigError } from "../errors.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { ownServices } from "../names/domains.js";
import { isNomadHost, readNomadName } from "../names/nomad-domain.js";
import { familyOf, hostPort, isLoopback, isOwnServer } from "../net/ip.js";
import { domainDoubts, publishesToConsul } from "../publish/core/publication.js";
import type { IpPort } from "./network-values.js";
import type { NomadEnvironment } from "./nomad.js";
import { type Command, flagOf, type OptionKey, type Settings } from "./options.js";

/** What is checked: all options, which of them were set, and Nomad's part. */
interface CheckedSettings extends Settings {
  readonly nomad: Pick<NomadEnvironment, "erlDistPort">;
  readonly given: { has(key: OptionKey): boolean };
  readonly told: ReadonlySet<OptionKey>;
}

/** Refuses settings that contradict each other. @throws ConfigError CONFIG_CONFLICT */
export function checkCombinations(settings: CheckedSettings, command: Command): void {
  const checks = command === "serve" ? [...CHECKS, ...SERVE_CHECKS] : CHECKS;
  const [complaint] = complaintsOf(checks, settings, command);
  if (complaint !== undefined) throw new ConfigError("CONFIG_CONFLICT", complaint);
}

/** Conflicts for which serve would not start with these settings, for a command that starts beside it. */
export function refusedByServe(settings: CheckedSettings): string[] {
  return complaintsOf(SERVE_CHECKS, settings, "serve");
}

/** doctor warns of the same settings as serve. */
const isServing = (command: Command) => command === "serve" || command === "doctor";

/** Warnings about settings that do not stop the start. */
export function doubtfulSettings(settings: CheckedSettings, command: Command): string[] {
  const doubts: string[] = [];
  if (isServing(command) && settings.timeout > VM_PATIENCE) {
    doubts.push(
      `--timeout: a VM gives up after 7 s (net_setuptime), so an answer after ${settings.timeout} ms comes too late`,
    );
  }
  if (isServing(command) && settings.register === "consul" && settings.dnsListen !== undefined) {
    doubts.push(
      "--dns-listen with --register consul: names under --domain are asked of the embedded DNS alone, which knows the nodes here; those that only Consul knows are not found",
    );
  }
  if (isServing(command)) {
    for (const { evidence, advice } of domainDoubts(settings)) doubts.push(`--domain: ${evidence}; ${advice}`);
  }
  // The daemon has said it of what it tells.
  const idle = (keys: readonly Detour[]) =>
    keys.filter((key) => isOn(settings[key]) && !settings.told.has(key)).map((key) => `--${flagOf(key)}`);
  const [inMesh, native] = [
    isMeshed(settings) ? idle(DETOURS) : [],
    settings.connectNative ? idle(NATIVE_DETOURS) : [],
  ];
  if (inMesh.length > 0) {
    doubts.push(`in a mesh (--mesh) nodes are reached through upstreams only: ${inMesh.join(", ")} will not be used`);
  }
  if (native.length > 0) {
    doubts.push(
      `with --connect-native nodes are looked up in Consul's catalogue only: ${native.join(", ")} will not be used`,
    );
  }
  return doubts;
}

/** Milliseconds: net_setuptime, less the time that the connection itself takes. */
const VM_PATIENCE = 6500;

/** Options that would lead past a mesh. */
const DETOURS = ["fallback", "helpers"] as const;
/** And past the mutual TLS of a native end. */
const NATIVE_DETOURS = ["fallback", "node", "nodesFile"] as const;
type Detour = (typeof DETOURS)[number] | (typeof NATIVE_DETOURS)[number];
const isOn = (value: Settings[Detour]) =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "local" && value !== "publish";

/** What only the gateway reads. */
const GATEWAY_ONLY = ["gatewayDomain", "gatewayListen", "gatewayForward"] as const;

type Check = (settings: CheckedSettings, command: Command) => string | undefined;

function complaintsOf(checks: readonly Check[], settings: CheckedSettings, command: Command): string[] {
  return checks.flatMap((check) => check(settings, command) ?? []);
}

/** Conflicts that stop every command that has the options. */
const CHECKS: readonly Check[] = [
  ({ port }, command) =>
    port === 0 && command !== "serve"
      ? "--port 0 (any free port) is for serve only: give the port of the EPMD"
      : undefined,
  ({ consulCert, consulKey }) =>
    (consulCert === undefined) === (consulKey === undefined)
      ? undefined
      : "CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY (consul-cert and consul-key in a file) go together: give both or none",
  ({ consulAuthMethod, consulBearerTokenFile }) =>
    consulAuthMethod !== undefined && consulBearerTokenFile === undefined
      ? "--consul-auth-method needs a JWT to log in with: give --consul-bearer-token-file too (in Kubernetes /var/run/secrets/kubernetes.io/serviceaccount/token)"
      : undefined,
  ({ nomadCert, nomadKey }) =>
    (nomadCert === undefined) === (nomadKey === undefined)
      ? undefined
      : "NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY (nomad-cert and nomad-key in a file) go together: give both or none",
  ({ domain, consulDomain }) => {
    const wrong = domain.flatMap(({ domain: name }) => {
      const read = readNomadName(name, consulDomain);
      return read?.kind === "other" ? `--domain ${name}: ${read.reason}` : [];
    });
    return wrong[0];
  },
  ({ fallback }) => {
    const ports = fallback.filter((how) => how !== "epmd");
    return ports.length > 1 ? `--fallback: ${ports.join(" and ")} are two ports; give one` : undefined;
  },
  ({ out, app }, command) =>
    command === "module" && (out === undefined) === (app === undefined)
      ? "module: say where it goes: --out DIR, --out - to print it, or --app DIR"
      : undefined,
  ({ connectNative, mesh, given }) =>
    connectNative && (mesh || given.has("upstreamService"))
      ? "--connect-native and --mesh are two ways through Consul Connect, without a proxy and with one: give one of them"
      : undefined,
  ({ cookieFile, cookieEnv }) =>
    cookieFile !== undefined && cookieEnv !== undefined
      ? "--cookie-file and --cookie-env are two ways to give the cookie: give one of them"
      : undefined,
  ({ probe, cookieFile, cookieEnv }, command) =>
    command === "resolve" && !probe && (cookieFile !== undefined || cookieEnv !== undefined)
      ? `--${cookieFile === undefined ? "cookie-env" : "cookie-file"}: the cookie is compared with that of the node that a probe finds: give --probe too`
      : undefined,
  ({ watch, cluster }, command) =>
    command === "doctor" && watch && !cluster
      ? "--watch is for doctor --cluster; resolve --watch follows single nodes"
      : undefined,
  ({ watch, trace }) =>
    watch && trace ? "--watch shows changes and --trace every step of one look-up: give one of them" : undefined,
  ({ cluster, match, domain }, command) =>
    command === "names" && cluster && match === undefined && domain.length === 0
      ? "--cluster needs to know which service: give --match '*@svc', or --domain svc; names alone lists the nodes that are registered here"
      : undefined,
];

/**
 * Conflicts that stop serve alone. The other commands are run beside a daemon that has started: in its environment, but
 * without the flags that it was given.
 */
const SERVE_CHECKS: readonly Check[] = [
  ({ dnsListen, domain }) =>
    dnsListen && domain.length === 0
      ? "--dns-listen answers for the nodes under --domain: give --domain too, such as --domain demo.test"
      : undefined,
  ({ dnsListen, domain, consulDomain }) => {
    const nomads = dnsListen && domain.find((rule) => isNomadHost(rule.domain, consulDomain));
    return (
      nomads &&
      `--dns-listen does not answer for ${nomads.domain}, which is looked up in Nomad's catalogue alone: leave out --dns-listen, or give another --domain`
    );
  },
  unreachedDomain,
  ({ register, service, domain, publishNode }) =>
    register === "consul" && service === undefined && domain.length === 0 && publishNode.every(({ host }) => !host)
      ? "--register consul needs --domain or --service, to know under which service the nodes are published"
      : undefined,
  ({ consulAuthMethod, given }) =>
    consulAuthMethod === undefined && given.has("consulBearerTokenFile")
      ? "--consul-bearer-token-file holds a JWT for a login: give --consul-auth-method too, the name of an auth method in Consul"
      : undefined,
  twoOfOneFamily,
  ({ connectNative, given }) => {
    const idle = connectNative
      ? undefined
      : (["connectListen", "connectRecheck"] as const).find((key) => given.has(key));
    return idle === undefined ? undefined : `--${flagOf(idle)} is an option of a native end: give --connect-native too`;
  },
  nativeService,
  ({ connectNative, allow }) =>
    connectNative && allow.length > 0
      ? "--connect-native reaches nodes of this machine alone for others, and --allow lets other machines register nodes here: leave it out"
      : undefined,
  ({ connectNative, catalogue }) =>
    connectNative && catalogue === "none"
      ? "--connect-native finds nodes in Consul's catalogue alone, which says who speaks mutual TLS: leave out --catalogue none"
      : undefined,
  ({ gateway, given }) => {
    const idle = gateway ? undefined : GATEWAY_ONLY.find((key) => given.has(key));
    return idle === undefined ? undefined : `--${flagOf(idle)} is an option of the gateway: give --gateway too`;
  },
  ({ gateway, domain, gatewayDomain }) =>
    gateway && domain.length + gatewayDomain.length === 0
      ? "--gateway needs to know which hosts resolve to loopback addresses: give --domain or --gateway-domain"
      : undefined,
  asksItself,
  sharedPort,
  // The daemon that told it has the variable.
  ({ publishNode, nomad, told }) =>
    publishNode.length > 0 && nomad.erlDistPort === undefined && !told.has("publishNode")
      ? "--publish-node needs ERL_DIST_PORT in the environment, a port from 1 to 65535: where that node listens"
      : undefined,
  ({ publishNode, register, dnsListen }) =>
    publishNode.length > 0 && register === "none" && !dnsListen
      ? "--publish-node has nowhere to publish to: --register is none, and there is no --dns-listen"
      : undefined,
];

/** The certificate of one service is shown to peers, whichever VM here dials. */
function nativeService(settings: CheckedSettings): string | undefined {
  if (!settings.connectNative) return undefined;
  const services = ownServices(settings);
  if (!publishesToConsul(settings) || services.length === 0) {
    return "--connect-native needs nodes that are published in Consul: give --domain, a service of Consul, without --dns-listen and --register none";
  }
  const { service } = settings;
  const looked = ownServices({ ...settings, service: undefined });
  if (service !== undefined && looked.some((one) => one !== service)) {
    return `--connect-native: nodes are published as ${service} (--service), and peers look for them in ${looked.join(" and ")} (--domain): give one service`;
  }
  if (services.length === 1) return undefined;
  return `--connect-native shows the certificate of one service, and ${services.join(" and ")} are given: run a srv-epmd for each`;
}

/** The first rule that matches wins, so one that matches every name must be the last. */
function unreachedDomain({ domain }: Settings): string | undefined {
  const all = domain.findIndex(({ glob }) => /^\*+$/.test(glob.pattern));
  const after = domain[all + 1];
  if (all < 0 || !after) return undefined;
  return `--domain ${after.glob.pattern}=${after.domain} is never reached: ${domain[all]?.domain} before it takes every name; put that last`;
}

/** One instance is published for each family. */
function twoOfOneFamily({ advertiseAddress }: Settings): string | undefined {
  const families = advertiseAddress.map((address) => familyOf(address) ?? "host name");
  const twice = families.find((family, index) => families.indexOf(family) !== index);
  if (twice === undefined) return undefined;
  const kind = twice === "host name" ? "two host names" : `two IPv${twice} addresses`;
  return `--advertise-address: ${advertiseAddress.join(", ")} has ${kind}; give one of each family`;
}

/** The gateway forwards questions that are not its own; forwarded to itself, a question would never end. */
function asksItself({ gateway, gatewayListen, gatewayForward, dns }: Settings): string | undefined {
  if (!gateway || !gatewayListen) return undefined;
  const own = (servers: readonly IpPort[]) => servers.find((server) => isOwnServer(gatewayListen, server, isLoopback));
  const [forward, server] = [own(gatewayForward), own(dns)];
  const asked = forward ?? server;
  if (!asked) return undefined;
  const [flag, where] = [forward ? "--gateway-forward" : "--dns", hostPort(asked.address, asked.port)];
  return `${flag} ${where} is the gateway's own DNS (--gateway-listen ${hostPort(gatewayListen.address, gatewayListen.port)}), which would ask itself: give another name server`;
}

/** The embedded DNS and the gateway's DNS need two addresses. */
function sharedPort({ gateway, gatewayListen, dnsListen }: Settings): string | undefined {
  if (!gateway || !gatewayListen || !dnsListen || dnsListen.port === 0) return undefined;
  const same = isOwnServer(gatewayListen, dnsListen, () => true) || isOwnServer(dnsListen, gatewayListen, () => true);
  if (!same) return undefined;
  return `--dns-listen and --gateway-listen (${hostPort(gatewayListen.address, gatewayListen.port)}) are one address: give one of them another port`;
}
