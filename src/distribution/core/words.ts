import { type NodeName, neverConnect } from "../../names/node-name.js";
import type { Endpoint } from "../../net/endpoint.js";
import type { DistVersion } from "../wire/handshake.js";
import type { VmState } from "./vm-state.js";

/**
 * Whether a node's own name is the name that was asked for. A VM compares the whole name, letter by letter
 * (dist_util:recv_challenge/1); of a bare name only the alive name is known.
 * @param operand the name as written
 * @param full the name with its host expanded
 */
export function isAskedNode({ aliveName, form }: NodeName, operand: string, full: string): (name: string) => boolean {
  if (form === "bare") return (name) => name.startsWith(`${aliveName}@`);
  const written = form === "full" ? operand.replace(/\/[46]$/, "") : full;
  return (name) => name === full || name === written;
}

/** The probe shows that the node is not there, or that it has another cookie. */
export function isFailure(probe: Probe): boolean {
  if ("joined" in probe && (probe.joined?.cookie === "refused" || probe.joined?.cookie === "other")) return true;
  return !["node", "erlang", "tls"].includes(probe.result);
}

/** The node was joined with a cookie. */
export function wasJoined(probe: Probe): boolean {
  return probe.result === "node" && probe.joined !== undefined;
}

/** `IPv4, 1.9 ms: is node_b@svc.service.consul (...)` */
export function probeWords(probe: Probe, asked: string, { family }: Pick<Endpoint, "family">): string {
  return `IPv${family}, ${probe.elapsedMs.toFixed(1)} ms: ${verdict(probe, asked)}`;
}

function verdict(probe: Probe, asked: string): string {
  switch (probe.result) {
    case "node":
      return `is ${probe.name} ${about(probe)}${probe.joined ? `; ${cookieWords(probe.joined)}` : ""}`;
    case "other-node":
      return `is ${probe.name}, not ${asked}: a VM that dials ${difference(probe.name, asked)} closes the connection ${about(probe)}`;
    case "erlang":
      return `${over(probe.tls)}an Erlang node, which answers ${probe.status}${STATUS_WORDS[probe.status] ?? ""}`;
    case "refused":
      return "nothing listens there: the connection was refused";
    case "unreachable":
      return `cannot be reached from here (${probe.code})`;
    case "silent":
      return probe.stage === "connect"
        ? "no answer to the connection attempt: the machine is down, or a firewall drops it"
        : `${over(probe.tls)}accepts the connection and sends nothing: no Erlang node, or one that does not respond`;
    case "closed":
      return `${over(probe.tls)}accepts the connection and closes it without an answer: no Erlang node, or a proxy that reaches no node`;
    case "tls":
      return `${over(probe.tls) || "speaks TLS: "}it ends the handshake (${probe.code}): probably -proto_dist inet_tls that asks for a client certificate`;
    case "connect":
      return `mutual TLS of Consul Connect fails: ${probe.reason}`;
    case "not-erlang":
      return `${over(probe.tls)}listens, but is no Erlang node: it says ${JSON.stringify(probe.said)}`;
    default:
      return probe satisfies never;
  }
}

/** Why a node is not reached, in few words: `refused` */
export function probeReason(probe: Probe): string {
  switch (probe.result) {
    case "node":
    case "other-node":
      return `${probe.name} answers`;
    case "erlang":
      return `an Erlang node answers ${probe.status}${STATUS_WORDS[probe.status] ?? ""}`;
    case "refused":
      return "refused";
    case "unreachable":
      return `no way (${probe.code})`;
    case "silent":
      return probe.stage === "connect" ? "no answer" : "connected, and no answer";
    case "closed":
      return "connected, and closed without an answer";
    case "tls":
      return `TLS that ends the handshake (${probe.code}), as one that asks for a client certificate`;
    case "connect":
      return `mutual TLS of Consul Connect fails: ${probe.reason}`;
    case "not-erlang":
      return "no Erlang node";
    default:
      return probe satisfies never;
  }
}

const STATUS_WORDS: Record<string, string> = {
  ok: ", and closes before it tells its name",
  not_allowed: ": it accepts only the nodes of its net_kernel:allow/1, so it does not tell its name",
  nok: ": it is connecting to a node of our name itself",
  alive: ": it has a connection to a node of our name already",
};

const WHY = {
  silent: "does not answer in time",
  closed: "ends the connection",
  garbage: "answers with something else",
};

/** What the second half of the handshake shows. */
export function cookieWords(joined: Joined): string {
  switch (joined.cookie) {
    case "refused":
      return "it refuses the cookie: its own is another one";
    case "other":
      return "it accepts the cookie and does not prove that it has it: it has another one for this machine, or is not the node that it says it is";
    case "unknown":
      return `its cookie is not known: it ${WHY[joined.why]}`;
    case "same": {
      if (joined.why === "no-vm") return "the cookie is right; it is a C node or the like, which has no links to tell";
      if (!joined.state)
        return `the cookie is right, and its VM ${WHY[joined.why ?? "silent"]} when it is asked for its links`;
      const { release, visible, hidden } = joined.state;
      const nodes = `${visible.length} ${visible.length === 1 ? "node" : "nodes"}`;
      const links = `linked with ${nodes}${hidden.length > 0 ? ` and ${hidden.length} hidden` : ""}`;
      return `the cookie is right; ${release === undefined ? "" : `OTP ${release}, `}${links}`;
    }
    default:
      return joined satisfies never;
  }
}

/** Says which part of the name differs. */
function difference(name: string, asked: string): string {
  const at = (full: string) => full.indexOf("@");
  const sameAlive = name.slice(0, at(name)) === asked.slice(0, Math.max(0, at(asked)));
  if (sameAlive && neverConnect(name, asked)) return `${asked} finds that short and long names never connect, and`;
  return sameAlive ? `${asked} compares the host part too, and` : asked;
}

function over(tls: TlsSeen | undefined): string {
  return tls ? `speaks TLS (${tlsWords(tls)}); inside it ` : "";
}

function tlsWords({ protocol, names }: TlsSeen): string {
  return `${protocol}, ${names.length > 0 ? `certificate of ${names.join(" and ")}` : "a certificate without a name"}`;
}

function about(probe: Extract<Probe, { result: "node" | "other-node" }>): string {
  const facts = [
    ...(probe.tls
      ? [`${probe.tls.isConnect ? "inside Consul Connect" : "-proto_dist inet_tls"}: ${tlsWords(probe.tls)}`]
      : []),
    `handshake version ${probe.version}`,
    probe.release,
    probe.hidden ? "hidden" : "published",
    ...(probe.creation === undefined ? [] : [`creation ${probe.creation}`]),
    ...(probe.status === "ok" ? [] : [`status ${probe.status}`]),
  ];
  return `(${facts.join(", ")})`;
}

/** What a probe found at an endpoint. Times are milliseconds. */
export type Probe = ProbeTimes &
  (
    | ({ readonly result: "node" | "other-node" } & NodeSeen)
    /** An Erlang node that does not tell us its name; status `nok`, `not_allowed` or `alive`. */
    | { readonly result: "erlang"; readonly status: string; readonly tls?: TlsSeen }
    /** Nothing listens. */
    | { readonly result: "refused" }
    /** No connection can be made: `EHOSTUNREACH`, `ENETUNREACH`, ... */
    | { readonly result: "unreachable"; readonly code: string }
    /** No answer to the connection attempt, or to our name. */
    | { readonly result: "silent"; readonly stage: "connect" | "handshake"; readonly tls?: TlsSeen }
    /** It accepts the connection and closes it without a reply. */
    | { readonly result: "closed"; readonly tls?: TlsSeen }
    /** TLS that does not complete the handshake with us. */
    | { readonly result: "tls"; readonly code: string; readonly tls?: TlsSeen }
    /** It does not let us into its mutual TLS of Consul Connect, or out of that to a node. */
    | { readonly result: "connect"; readonly reason: string }
    /** It sends something that no node sends. */
    | { readonly result: "not-erlang"; readonly said: string; readonly tls?: TlsSeen }
  );

export interface ProbeTimes {
  /** From the first connection attempt to the result. */
  readonly elapsedMs: number;
  /** To the connection; undefined when there was none. */
  readonly connectMs?: number;
}

interface NodeSeen {
  /** The full name that the node itself gives. */
  readonly name: string;
  readonly version: DistVersion;
  /** Undefined in version 5. */
  readonly creation?: number;
  readonly hidden: boolean;
  /** The flags of `DIST_FLAG` that it has. */
  readonly flags: readonly string[];
  /** `OTP 25, 26 or 27` */
  readonly release: string;
  readonly status: string;
  readonly tls?: TlsSeen;
  /** With a cookie, of the node that was asked for. */
  readonly joined?: Joined;
}

/** What the rest of the handshake shows, and what the VM says then. */
export type Joined =
  | {
      readonly cookie: "same";
      readonly state?: VmState;
      /** Where there is no state; `no-vm`: a C node and the like, which is not asked. */
      readonly why?: "silent" | "closed" | "garbage" | "no-vm";
    }
  /** The node closes the connection on our digest. */
  | { readonly cookie: "refused" }
  /** The node accepts our digest, and its own is of another cookie. */
  | { readonly cookie: "other" }
  | { readonly cookie: "unknown"; readonly why: "silent" | "closed" | "garbage" };

export interface TlsSeen {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Names in the certificate, which is not verified. */
  readonly names: readonly string[];
  /** Of Consul Connect: the node itself speaks no TLS. */
  readonly isConnect?: true;
}
