import { DNS_PORT, EPMD_PORT, type Family } from "../net/endpoint.js";
import { type Cidr, canonicalIp, cidrContains, isLinkLocal, isLoopback, isWildcard, parseCidr } from "../net/ip.js";
import { type Glob, parseGlob } from "../text.js";
import { listenPort, oneOf, port, template, text, ValueError } from "./values.js";

export interface IpPort {
  readonly address: string;
  readonly port: number;
}

/** Both ends included. */
export interface PortRange {
  readonly low: number;
  readonly high: number;
}

/** A name server, and the domain it serves; no domain: everything. */
export interface DnsServer extends IpPort {
  readonly domain: string | undefined;
}

/** A domain for the alive names that match the glob; `*` when none was written. */
export interface DomainRule {
  readonly glob: Glob;
  readonly domain: string;
}

/** `--node a@h=10.0.0.1:8081` */
export interface StaticNode {
  readonly aliveName: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** A node that never speaks EPMD. */
export interface ConfiguredNode {
  readonly aliveName: string;
  readonly host: string | undefined;
}

/** Canonical text of an IP literal, undefined when it is none. A zone id (`fe80::1%eth0`) means nothing to others. */
function literal(value: string): string | undefined {
  return value.includes("%") ? undefined : canonicalIp(value);
}

/** `localhost`, where a place on this machine is meant: IPv4, which servers listen on by default. */
const LOCALHOST = /^localhost(?=:|$)/i;

/** Canonical IP literal. */
export function ip(value: string): string {
  const address = literal(value.replace(LOCALHOST, "127.0.0.1"));
  if (address === undefined) {
    throw new ValueError("must be an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1");
  }
  return address;
}

export function cidr(value: string): Cidr {
  const parsed = parseCidr(value);
  if (!parsed) throw new ValueError("must be an address or a network such as 10.0.0.0/8 or fd00::/8");
  return parsed;
}

/** `ip`, `ip:port`, `[ipv6]:port`, or a bare IPv6 address; `localhost` for 127.0.0.1. */
export function ipPort(defaultPort: number | undefined, parsePort = port): (value: string) => IpPort {
  return (written) => {
    const value = written.replace(LOCALHOST, "127.0.0.1");
    const match = /^\[([^\]]*)\](?::([0-9]+))?$/.exec(value) ?? /^([^:]*)(?::([0-9]+))?$/.exec(value);
    const address = literal(match ? (match[1] ?? "") : value);
    const portText = match?.[2];
    // ::1:8600 is a legal address, but of a deprecated kind (RFC 4291 section 2.5.5.1).
    const meant = match ? undefined : /^(::1?):([0-9]{2,5})$/.exec(value);
    if (meant) throw new ValueError(`is an address without a port; was [${meant[1]}]:${meant[2]} meant?`);
    if (address === undefined || (portText === undefined && defaultPort === undefined)) {
      throw new ValueError(
        defaultPort === undefined
          ? "must be an address with a port such as 127.0.0.1:8653 or [::1]:8653"
          : `must be an address, with a port when it is not ${defaultPort}, such as 10.0.0.1 or [::1]:${defaultPort}`,
      );
    }
    return { address, port: portText === undefined ? (defaultPort as number) : parsePart("port", portText, parsePort) };
  };
}

/** Parses a part of a value, and names the part when it is wrong. */
function parsePart<T>(name: string, part: string, parse: (text: string) => T): T {
  try {
    return parse(part);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError(`has the ${name} ${JSON.stringify(part)}, which ${error.message}`);
  }
}

/** `ip` or `ip:port` of an EPMD, as written; without a port, that of `--port` is meant. */
export function epmdAddress(value: string): string {
  ipPort(EPMD_PORT)(value);
  return value;
}

/** An address to listen on; port 0 takes any free one. */
export const ipListenPort = ipPort(undefined, listenPort);

/** `PORT`, at all addresses of this machine, or `IP:PORT`. Port 0 takes any free one. */
export function listenPlace(value: string): IpPort {
  return /^[0-9]+$/.test(value) ? { address: "::", port: listenPort(value) } : ipListenPort(value);
}

/** An address to listen on, or `none`: undefined. @param defaultPort undefined: the port must be given */
export function ipPortOrNone(defaultPort: number | undefined): (value: string) => IpPort | undefined {
  const parse = ipPort(defaultPort, listenPort);
  return (value) => {
    if (value === "none") return undefined;
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ValueError(`${error.message}, or none`, { cause: error });
    }
  };
}

/** `61000-64999` */
export function portRange(value: string): PortRange {
  const [, low = "", high = ""] = /^([0-9]+)-([0-9]+)$/.exec(value) ?? [];
  if (low === "") throw new ValueError("must be two ports with a dash between them, such as 61000-64999");
  const range = { low: parsePart("port", low, port), high: parsePart("port", high, port) };
  if (range.low > range.high) throw new ValueError("must begin with the lower port, such as 61000-64999");
  return range;
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

/** One label of a domain name, whatever its case: letters, digits, - and _ (RFC 1035 section 2.3.1, and what Consul allows). */
export function isLabel(value: string): boolean {
  return value.length <= 63 && LABEL.test(value.toLowerCase());
}

/** RFC 1035 section 2.3.4: labels up to 63 octets, names up to 253 characters. */
export function isDomainName(name: string): boolean {
  // RFC 3696 section 2: a top-level domain is not all numeric; such a name is a mistyped IPv4 address.
  return !/\.[0-9]+$/.test(name) && name.length <= 253 && name.split(".").every(isLabel);
}

/** The limit that a name is over (RFC 1035 section 2.3.4), for a message; "" when it is something else. */
function overLimit(name: string): string {
  const longest = Math.max(...name.split(".").map((part) => part.length));
  if (longest > 63) return `, with at most 63 characters between two dots (here are ${longest})`;
  return name.length > 253 ? `, of at most 253 characters (here are ${name.length})` : "";
}

/** A DNS name, lower case, without trailing dot. */
export function domainName(value: string): string {
  const name = value.toLowerCase().replace(/\.$/, "");
  if (isDomainName(name)) return name;
  throw new ValueError(`must be a domain name such as svc.service.consul${overLimit(name)}`);
}

/** One label of a domain name, as written: Consul's DNS finds a service whatever its case, and none with a dot in its name. */
export function label(value: string): string {
  if (!isLabel(value)) {
    throw new ValueError("must be a name without dots, of at most 63 letters, digits, - and _, such as svc");
  }
  return value;
}

/** `[domain=]ip[:port]` */
export function dnsServer(value: string): DnsServer {
  const equals = value.indexOf("=");
  const server = ipPort(DNS_PORT)(value.slice(equals + 1));
  return { ...server, domain: equals < 0 ? undefined : parsePart("domain", value.slice(0, equals), domainName) };
}

/** A domain, or `<glob>=<domain>`. A bare word is the name of a service, expanded later. */
export function domainRule(value: string): DomainRule {
  const equals = value.indexOf("=");
  return {
    glob: parseGlob(equals < 0 ? "*" : parsePart("pattern", value.slice(0, equals), text)),
    domain: parsePart("domain", value.slice(equals + 1), domainName),
  };
}

/** A host part: a domain name or an IP literal. */
export function hostName(value: string): string {
  const address = literal(value);
  if (address !== undefined) return address;
  try {
    return domainName(value);
  } catch (error) {
    const limit = overLimit(value);
    throw new ValueError(`must be a host name such as svc.service.consul${limit}, or an IP address`, { cause: error });
  }
}

/** At most 255 characters (epmd_srv.c), without those that end an alive name or are not allowed in it. */
export function isAliveName(value: string): boolean {
  const isShort = value.length <= 255 || Array.from(value).length <= 255;
  return value !== "" && isShort && !/[@.\0\s/]/.test(value);
}

export function aliveName(value: string): string {
  if (isAliveName(value)) return value;
  throw new ValueError("must start with an alive name (no dot, blank or @ in it, at most 255 characters)");
}

/** `name@host=ip:port` */
export function staticNode(value: string): StaticNode {
  const match = /^([^@]*)@([^=]*)=(.*)$/.exec(value);
  if (!match) throw new ValueError("must be written name@host=address:port, such as node_a@svc=10.0.0.1:8081");
  const { address, port: nodePort } = ipPort(undefined)((match[3] ?? "").trim());
  const host = parsePart("host", (match[2] ?? "").trim(), hostName);
  if (isLinkLocal(address))
    throw new ValueError(`has the link-local address ${address}, which cannot be dialled without a zone`);
  return { aliveName: aliveName(match[1] ?? ""), host, address, port: nodePort };
}

/** `name` or `name@host` */
export function configuredNode(value: string): ConfiguredNode {
  const at = value.indexOf("@");
  return {
    aliveName: aliveName(at < 0 ? value : value.slice(0, at)),
    host: at < 0 ? undefined : parsePart("host", value.slice(at + 1), hostName),
  };
}

export function family(value: string): Family | "any" {
  const chosen = oneOf("any", "4", "6")(value);
  return chosen === "any" ? "any" : (Number(chosen) as Family);
}

/** Where the port comes from when a host has no SRV record: its EPMD, or fixed. */
export function fallback(value: string): "epmd" | number {
  if (value === "epmd") return value;
  try {
    return port(value);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError("must be epmd, or a port from 1 to 65535", { cause: error });
  }
}

/** `10.0.0.1`, or a template with `{name}`, `{host}` and `{service}`. */
export function addressOrTemplate(value: string): string {
  const address = literal(value);
  if (address !== undefined) {
    if (isWildcard(address)) throw new ValueError("must be an address that others can dial, not a wildcard");
    return address;
  }
  try {
    domainName(template("name", "host", "service")(value).replaceAll(/\{[a-z]+\}/g, "x"));
  } catch (error) {
    throw new ValueError("must be an IP address or a host name, with {name}, {host} or {service} in it", {
      cause: error,
    });
  }
  return value;
}

/** Nomad allows 128 characters (nomad/structs/structs.go). `*`, all of them, is for commands that list; here it is the default. */
export function nomadNamespace(value: string): string {
  if (value === "*") return "default";
  if (/^[A-Za-z0-9-]{1,128}$/.test(value)) return value;
  throw new ValueError("must be a namespace of Nomad's: 1 to 128 letters, digits and -");
}

/** URL of an agent's HTTP API: `http://`, `https://`, `unix:///path`, or host:port as CONSUL_HTTP_ADDR has it. */
export function agentUrl(value: string): string {
  if (/^unix:\/\/\/?[^/]/.test(value)) return value;
  const url = /^[a-z]+:\/\//i.test(value)
    ? value.replace(/^[a-z]+/i, (scheme) => scheme.toLowerCase())
    : `http://${value}`;
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    parsed = undefined;
  }
  // Credentials and a ?token= in a URL would be shown wherever the agent is named, and no call would send them.
  const bare = [parsed?.username, parsed?.password, parsed?.search, parsed?.hash].every((part) => part === "");
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.hostname === "" || !bare) {
    throw new ValueError("must be http://host:port, https://host:port or unix:///path/to/socket");
  }
  return url;
}

/** Used by other programs: 127.0.0.1, 127.0.0.53 (systemd), 127.0.1.1 (Debian). */
const COMMON_LOOPBACKS: Cidr = { bytes: [127, 0, 0, 0], prefix: 16 };
/** A smaller range than /24 would soon be used up. */
const LONGEST_RANGE_PREFIX = 24;

/** A part of 127.0.0.0/8 apart from 127.0.0.0/16, with its host bits cleared. */
export function loopbackRange(value: string): Cidr {
  const range = parseCidr(value);
  const first = range?.bytes.map((byte, index) => byte & maskOctet(range.prefix, index));
  if (!range || !first || range.prefix < 8 || !isLoopback(range.bytes.join("."))) {
    throw new ValueError("must be a range of IPv4 loopback addresses such as 127.64.0.0/10");
  }
  if (cidrContains(COMMON_LOOPBACKS, first.join("."))) {
    throw new ValueError(
      "has 127.0.0.x in it, which others use (127.0.0.1, 127.0.0.53, 127.0.1.1); 127.64.0.0/10 is free",
    );
  }
  if (range.prefix > LONGEST_RANGE_PREFIX) {
    throw new ValueError(`has ${2 ** (32 - range.prefix)} addresses; give at least 256, such as 127.64.0.0/10`);
  }
  return { bytes: first, prefix: range.prefix };
}

function maskOctet(prefix: number, index: number): number {
  return 0xff & (0xff << (8 - Math.min(8, Math.max(0, prefix - index * 8))));
}
