import type { EpmdRequest, EpmdResponse, NamedPort } from "../core/epmd/messages.js";
import { REFUSED_CREATION } from "../core/epmd/messages.js";
import { familyOf } from "../core/ip.js";
import type { RegisteredNode, Registry } from "../core/registry.js";
import { formatPeer, type Peer } from "./peer.js";

/** What becomes of the connection and of the daemon with an answer. */
export type Answer =
  | { readonly action: "reply"; readonly response: EpmdResponse }
  /** Reply, and keep the connection: it is the registration from now on. */
  | { readonly action: "hold"; readonly response: EpmdResponse; readonly node: RegisteredNode }
  /** Close without a word, as stock EPMD does to those who may not ask. */
  | { readonly action: "close"; readonly reason: string }
  /** Reply, then end the daemon. */
  | { readonly action: "exit"; readonly response: EpmdResponse };

export interface AnswerDeps {
  readonly registry: Registry;
  /** PORT_PLEASE2: at once for a node alive here. */
  readonly lookUp: (name: string, forwarded: boolean, peer: Peer) => EpmdResponse | Promise<EpmdResponse>;
  /** The nodes that NAMES lists at the address where it was asked. */
  readonly list: (peer: Peer) => readonly RegisteredNode[];
  /** NAMES with a pattern. */
  readonly match: (pattern: string, peer: Peer) => readonly NamedPort[] | Promise<readonly NamedPort[]>;
  /** Ends the connection that holds a node; for STOP. */
  readonly release: (node: RegisteredNode) => void;
  /** The port that clients believe us to be on: NAMES and DUMP begin with it. */
  readonly epmdPort: () => number;
  readonly relaxedCommandCheck: boolean;
  readonly allowKill: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The rules of epmd_srv.c: who may do what, and what is said. */
export function answer(request: EpmdRequest, peer: Peer, deps: AnswerDeps): Answer | Promise<Answer> {
  switch (request.type) {
    case "PORT_PLEASE2_REQ": {
      const response = deps.lookUp(request.name, request.forwarded, peer);
      // No promise for a node alive here: a registry hit is answered without awaiting anything.
      return response instanceof Promise ? response.then(reply) : reply(response);
    }
    case "NAMES_REQ": {
      const epmdPort = deps.epmdPort();
      // Strangers get what stock EPMD gives: who lives here, and not who lives elsewhere.
      if (request.pattern === undefined || !peer.local) {
        return reply({ type: "NAMES_RESP", epmdPort, nodes: deps.list(peer) });
      }
      const found = deps.match(request.pattern, peer);
      const list = (names: readonly NamedPort[]) => reply({ type: "NAMES_MATCH_RESP", epmdPort, names });
      return found instanceof Promise ? found.then(list) : list(found);
    }
    default:
      return peer.local ? answerLocal(request, peer, deps) : { action: "close", reason: "not a local peer" };
  }
}

type LocalRequest = Exclude<EpmdRequest, { type: "PORT_PLEASE2_REQ" | "NAMES_REQ" }>;

function answerLocal(request: LocalRequest, peer: Peer, deps: AnswerDeps): Answer {
  const { registry } = deps;
  switch (request.type) {
    case "ALIVE2_REQ": {
      const { type: _, ...registration } = request;
      const family = familyOf(peer.dialled) ?? 4;
      const elsewhere = peer.sameHost ? {} : { address: peer.address };
      const held = { ...registration, family, origin: "alive2", ...elsewhere, connection: formatPeer(peer) } as const;
      const node = registry.register(held, deps.now());
      if (!node) return reply(refusal(request.highestVersion));
      const { creation } = node;
      return { action: "hold", node, response: { ...alive2Response(request.highestVersion), result: 0, creation } };
    }
    case "ALIVE2_REQ_REFUSED":
      return reply(refusal(request.highestVersion));
    case "DUMP_REQ":
      return reply({
        type: "DUMP_RESP",
        epmdPort: deps.epmdPort(),
        nodes: registry.nodes(),
        former: registry.former(),
      });
    case "KILL_REQ":
      // ejabberd's scripts send KILL to whatever EPMD there is when their own node has gone.
      if (!deps.allowKill || (registry.size > 0 && !deps.relaxedCommandCheck))
        return reply({ type: "KILL_RESP", text: "NO" });
      return { action: "exit", response: { type: "KILL_RESP", text: "OK" } };
    case "STOP_REQ": {
      if (!deps.relaxedCommandCheck) return { action: "close", reason: "STOP needs --relaxed-command-check" };
      const node = registry.get(request.aliveName);
      // A node of --publish-node has no connection that could be ended.
      if (node?.origin !== "alive2") return reply({ type: "STOP_RESP", text: "NOEXIST" });
      deps.release(node);
      return reply({ type: "STOP_RESP", text: "STOPPED" });
    }
    default:
      return request satisfies never;
  }
}

function reply(response: EpmdResponse): Answer {
  return { action: "reply", response };
}

/** The node's version alone decides which of the two forms it gets, refusals included. */
function alive2Response(highestVersion: number) {
  return { type: "ALIVE2_RESP", extended: highestVersion >= 6 } as const;
}

function refusal(highestVersion: number): EpmdResponse {
  return { ...alive2Response(highestVersion), result: 1, creation: REFUSED_CREATION };
}
