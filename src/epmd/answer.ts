import type { RegisteredNode, Registry } from "./core/registry.js";
import type { Peer } from "./peer.js";
import type { Holding, Register, Registered } from "./registering.js";
import {
  type EpmdRequest,
  type EpmdResponse,
  type NamedPort,
  type PortPlease2Request,
  REFUSED_CREATION,
} from "./wire/messages.js";

/** The response to a request, and what happens to the connection and to the daemon. */
export type RequestResult =
  | { readonly action: "reply"; readonly response: EpmdResponse }
  /** Reply, and keep the connection: it is the registration from now on. */
  | { readonly action: "hold"; readonly response: EpmdResponse; readonly node: RegisteredNode }
  /** Close without an answer, as stock EPMD does where a peer may not ask. */
  | { readonly action: "close"; readonly reason: "not-local" | "stop-not-allowed" | "uid" | "gone" }
  /** Reply, then end the daemon. */
  | { readonly action: "exit"; readonly response: EpmdResponse };

export interface AnswerDeps {
  readonly registry: Registry;
  /** PORT_PLEASE2; no promise for a node that is alive here. */
  readonly lookUp: (request: PortPlease2Request, peer: Peer) => EpmdResponse | Promise<EpmdResponse>;
  /** The nodes that NAMES lists at the address where it was asked. */
  readonly list: (peer: Peer) => readonly RegisteredNode[];
  /** NAMES with a pattern. */
  readonly match: (pattern: string, peer: Peer) => readonly NamedPort[] | Promise<readonly NamedPort[]>;
  /** ALIVE2 of a local peer. */
  readonly register: Register;
  /** Ends the connection that holds a node; for STOP. */
  readonly release: (node: RegisteredNode) => void;
  /** The port that we listen on: NAMES and DUMP begin with it. */
  readonly epmdPort: () => number;
  readonly relaxedCommandCheck: boolean;
  readonly allowKill: boolean;
}

/** The rules of epmd_srv.c: who may ask for what, and what is answered. */
export function answer(
  request: EpmdRequest,
  peer: Peer,
  holding: Holding,
  deps: AnswerDeps,
): RequestResult | Promise<RequestResult> {
  switch (request.type) {
    case "PORT_PLEASE2_REQ": {
      const response = deps.lookUp(request, peer);
      // No promise for a node alive here: a registry hit is answered without awaiting anything.
      return response instanceof Promise ? response.then(reply) : reply(response);
    }
    case "NAMES_REQ": {
      const epmdPort = deps.epmdPort();
      // Strangers get what stock EPMD gives: the nodes alive here, none that live elsewhere.
      if (request.pattern === undefined || !peer.local) {
        return reply({ type: "NAMES_RESP", epmdPort, nodes: deps.list(peer) });
      }
      const found = deps.match(request.pattern, peer);
      const list = (names: readonly NamedPort[]) => reply({ type: "NAMES_MATCH_RESP", epmdPort, names });
      return found instanceof Promise ? found.then(list) : list(found);
    }
    default:
      return peer.local ? answerLocal(request, peer, holding, deps) : { action: "close", reason: "not-local" };
  }
}

type LocalRequest = Exclude<EpmdRequest, { type: "PORT_PLEASE2_REQ" | "NAMES_REQ" }>;

function answerLocal(
  request: LocalRequest,
  peer: Peer,
  holding: Holding,
  deps: AnswerDeps,
): RequestResult | Promise<RequestResult> {
  const { registry } = deps;
  switch (request.type) {
    case "ALIVE2_REQ": {
      const { highestVersion } = request;
      const registered = deps.register(request, peer, holding);
      return registered instanceof Promise
        ? registered.then((late) => alive2Answer(late, highestVersion))
        : alive2Answer(registered, highestVersion);
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
      // ejabberd's scripts send KILL to any EPMD on the port when their own node has ended.
      if (!deps.allowKill || (registry.size > 0 && !deps.relaxedCommandCheck))
        return reply({ type: "KILL_RESP", text: "NO" });
      return { action: "exit", response: { type: "KILL_RESP", text: "OK" } };
    case "STOP_REQ": {
      if (!deps.relaxedCommandCheck) return { action: "close", reason: "stop-not-allowed" };
      const node = registry.get(request.aliveName);
      // A node of --publish-node has no connection that can be ended.
      if (node?.origin !== "alive2") return reply({ type: "STOP_RESP", text: "NOEXIST" });
      deps.release(node);
      return reply({ type: "STOP_RESP", text: "STOPPED" });
    }
    default:
      return request satisfies never;
  }
}

function alive2Answer(registered: Registered, highestVersion: number): RequestResult {
  switch (registered.outcome) {
    case "registered": {
      const { node } = registered;
      const response = { ...alive2Response(highestVersion), result: 0, creation: node.creation } as const;
      return { action: "hold", node, response };
    }
    case "refused":
      return reply(refusal(highestVersion));
    case "denied":
      return { action: "close", reason: registered.reason };
    default:
      return registered satisfies never;
  }
}

function reply(response: EpmdResponse): RequestResult {
  return { action: "reply", response };
}

/** The node's version alone decides which of the two forms it gets, refusals included. */
function alive2Response(highestVersion: number) {
  return { type: "ALIVE2_RESP", extended: highestVersion >= 6 } as const;
}

function refusal(highestVersion: number): EpmdResponse {
  return { ...alive2Response(highestVersion), result: 1, creation: REFUSED_CREATION };
}
