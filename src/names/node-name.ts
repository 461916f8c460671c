import { hostName, isAliveName } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import type { Family } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import { type Glob, parseGlob } from "../text.js";

/** A node name as it was asked for. The alive name is the part before the `@`. */
export interface NodeName {
  readonly aliveName: string;
  /** Host part, lower case, without trailing dot; undefined for a bare name. */
  readonly host: string | undefined;
  /** The host part was written with a trailing dot: the search list of resolv.conf does not apply. */
  readonly absolute?: true;
  /** The address family that a client of the module asked for (`name@host/4`). */
  readonly family: Family | undefined;
  /** `full`: with an `@`, as clients that read the endpoints in Extra send it; `dotted`: `name.rest.of.host`. */
  readonly form: "full" | "dotted" | "bare";
}

/**
 * `name@host[/4|/6]`, `name.rest.of.host` (an alive name has no dot), or a bare name.
 * @throws ValueError that says what would be right
 */
export function parseNodeName(text: string): NodeName {
  const full = FULL_NAME.exec(text);
  if (full) return nodeName(full[1] ?? "", full[2] ?? "", familyOfSuffix(full[3]), "full");
  const dot = text.indexOf(".");
  if (dot < 0) return nodeName(text, undefined, undefined, "bare");
  return nodeName(text.slice(0, dot), text.slice(dot + 1), undefined, "dotted");
}

const FULL_NAME = /^([^@]*)@(.*?)(?:\/([46]))?$/s;

function familyOfSuffix(suffix: string | undefined): Family | undefined {
  return suffix === undefined ? undefined : suffix === "4" ? 4 : 6;
}

function nodeName(
  aliveName: string,
  host: string | undefined,
  family: Family | undefined,
  form: NodeName["form"],
): NodeName {
  if (!isAliveName(aliveName)) {
    throw new ValueError(
      "must be a node name such as node_a@svc.service.consul: the part before the @ is not a node's",
    );
  }
  if (host === undefined) return { aliveName, host, family, form };
  const parsed = { aliveName, host: parseHost(host), family, form };
  return host.endsWith(".") ? { ...parsed, absolute: true } : parsed;
}

function parseHost(host: string): string {
  try {
    return hostName(host);
  } catch (error) {
    const why = error instanceof ValueError ? `: its host part ${error.message}` : "";
    throw new ValueError(`must be a node name such as node_a@svc.service.consul${why}`, { cause: error });
  }
}

/** `node_a@svc.service.consul`, or the alive name alone. */
export function formatNodeName({ aliveName, host }: Pick<NodeName, "aliveName" | "host">): string {
  return host === undefined ? aliveName : `${aliveName}@${host}`;
}

/** Host part of a full name: `svc.service.consul` of `node_a@svc.service.consul`. */
export function hostPartOf(full: string): string {
  return full.slice(full.indexOf("@") + 1);
}

/** Whether a full name is a long one, as of `-name`: its host part has a dot, or is an address (splitnode/3 in OTP's inet_tcp_dist.erl). */
export function isLongName(full: string): boolean {
  const host = hostPartOf(full);
  return host.includes(".") || familyOf(host) !== undefined;
}

/** VMs with a short and with a long name never connect: each refuses the host part of the other, whatever resolves. */
export function neverConnect(one: string, other: string): boolean {
  return isLongName(one) !== isLongName(other);
}

/** `<glob>@<host>`: the nodes of the host whose alive names match the glob. */
interface NamePattern {
  readonly glob: Glob;
  /** As in a node name: lower case, without trailing dot, and not expanded yet (`svc`). */
  readonly host: string;
}

/** Characters, as of an alive name (epmd_srv.c): a longer pattern costs time. */
const MAX_GLOB = 255;

/** @throws ValueError that says what would be right */
export function parseNamePattern(text: string): NamePattern {
  const at = text.indexOf("@");
  const glob = text.slice(0, Math.max(0, at));
  if (glob === "" || Array.from(glob).length > MAX_GLOB) {
    throw new ValueError("must be a pattern such as 'node_*@svc' (* and ? stand for characters of the alive name)");
  }
  try {
    return { glob: parseGlob(glob), host: hostName(text.slice(at + 1)) };
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError("must be a pattern such as 'node_*@svc': what stands behind the @ is no host name", {
      cause: error,
    });
  }
}

/** Checks a pattern. @returns it unchanged @throws ValueError */
export function namePattern(text: string): string {
  parseNamePattern(text);
  return text;
}

export function isNamePattern(text: string): boolean {
  try {
    parseNamePattern(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Alive names of VMs that live for one command and register like any node (type 77, even with --hidden).
 * Each pattern is anchored: a node that only resembles one stays public.
 */
const HELPERS: readonly RegExp[] = [
  // Elixir releases: `rpc`, `pid` and `stop` start rpc-<hex>-<name>, `remote` rem-<hex>-<name>; where an image has no awk
  // the digits are missing.
  /^(rpc|rem)-[0-9a-f]{0,8}-/i,
  // RabbitMQ's command line tools: rabbitmqcli-N-<node>.
  /^rabbitmqcli-[0-9]+-/,
  // RabbitMQ's boot: <name>_prelaunch_<pid>, and <name>_ctl_N of rabbit_env.
  /_prelaunch_[0-9]+$/,
  /_ctl_[0-9]+$/,
  // RabbitMQ at boot and every 60 s, to have an EPMD started.
  /^epmd-starter-[0-9]+$/,
  // relx's extended start script, before OTP 23.
  /^(remsh|maint|longname)[0-9a-f]+-/i,
  // ejabberdctl: three hexadecimal digits, then what the VM is for.
  /^[0-9a-f]{3}-(ctl|debug|ping|top)(-|$)/i,
  // ejabberdctl before OTP 23: N-N-ctl-<name>.
  /^[0-9]+-[0-9]+-(ctl|debug|ping)(-|$)/,
  // OTP's peer: peer-<unique integer>-<process id>. RabbitMQ 4 starts such peers by its own name to look for brokers.
  /^(peer|rabbit)-[1-9][0-9]*-[1-9][0-9]*$/,
];

/** Names of peer:random_name/1; `ip-10-0-0-12` and `shard-2-10` have the same form. */
const RANDOM_NAME = /^(.+)-[1-9][0-9]*-[1-9][0-9]*$/;

/**
 * Whether an alive name is that of a helper.
 * @param isAlive whether a node of that name is registered here: `n1-33-4711` is a helper only beside a node `n1`
 */
export function isHelperName(aliveName: string, isAlive: (aliveName: string) => boolean = () => false): boolean {
  const origin = originOf(aliveName);
  return HELPERS.some((pattern) => pattern.test(aliveName)) || (origin !== undefined && isAlive(origin));
}

function originOf(aliveName: string): string | undefined {
  return RANDOM_NAME.exec(aliveName)?.[1];
}

/** Whether a name is that of a helper while the other is alive here: `n1-33-4711` is one beside `n1`. Each registration asks for all names. */
export function isHelperBeside(aliveName: string, other: string): boolean {
  return aliveName.length > other.length && aliveName.startsWith(other) && originOf(aliveName) === other;
}
