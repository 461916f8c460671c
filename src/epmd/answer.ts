import type { DaemonEvent } from "../daemon/core/observations.js";
import type { RegisteredNode } from "./core/registry.js";
import { answerLookUp, type RecordedLookUpDeps } from "./look-up.js";
import type { Peer } from "./peer.js";
import type { Holding, Register, Registered } from "./registering.js";
import { type EpmdRequest, type EpmdResponse, type NamedPort, REFUSED_CREATION } from "./wire/messages.js";

/** The response to a request, and what happens to the connection and to the daemon. */
export type RequestResult =
  | { readonly action: "reply"; readonly response: EpmdResponse }
  /** Reply, and keep the connection: it is the registration from now on. */
  | { readonly action: "hold"; readonly response: EpmdResponse; readonly node: RegisteredNode }
  /** Keep the connection: on it the VM of this node says with whom it is linked. */
  | { readonly action: "tell"; readonly node: RegisteredNode }
  /** Close without an answer, as stock EPMD does where a peer may not ask. */
  | {
      readonly action: "close";
      readonly reason: "not-local" | "stop-not-allowed" | "uid" | "gone" | "not-registered";
    }
  /** Reply, then end the daemon. */
  | { readonly action: "exit"; readonly response: EpmdResponse };

export interface AnswerDeps extends RecordedLookUpDeps {
  /** The nodes that match the pattern of a NAMES request. */
  readonly match: (pattern: string, sameHost: boolean) => readonly NamedPort[] | Promise<readonly NamedPort[]>;
  /** ALIVE2 of a local peer. */
  readonly register: Register;
  /** Whether a local peer is the VM of this node, which is known from the system. */
  readonly isVmOf: (node: RegisteredNode, peer: Peer) => Promise<boolean>;
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
  // Every request at a gateway address keeps its host.
  deps.gateway()?.markUsed(peer.dialled);
  switch (request.type) {
    case "PORT_PLEASE2_REQ": {
      const response = answerLookUp(request, peer, deps);
      // No promise for a node alive here: a registry hit is answered without awaiting anything.
      return response instanceof Promise ? response.then(reply) : reply(response);
    }
    case "NAMES_REQ": {
      const epmdPort = deps.epmdPort();
      // Strangers get what stock EPMD gives: the nodes alive here, none that live elsewhere.
      if (request.pattern === undefined || !peer.local) {
        return reply({ type: "NAMES_RESP", epmdPort, nodes: nodesAt(peer, deps) });
      }
      const found = deps.match(request.pattern, peer.sameHost);
      const list = (names: readonly NamedPort[]) => reply({ type: "NAMES_MATCH_RESP", epmdPort, names });
      return found instanceof Promise ? found.then(list) : list(found);
    }
    default:
      return peer.local ? answerLocal(request, peer, holding, deps) : close("not-local");
  }
}

/** The nodes alive here; at an address of the gateway those of its host. */
function nodesAt({ dialled }: Peer, { registry, gateway }: AnswerDeps): readonly RegisteredNode[] {
  const way = gateway();
  if (!way?.contains(dialled)) return registry.nodes();
  return registry.nodes().filter((node) => way.belongsToHost(node, dialled));
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
      if (!deps.relaxedCommandCheck) return close("stop-not-allowed");
      const node = registry.get(request.aliveName);
      // A node of --publish-node has no connection that can be ended.
      if (node?.origin !== "alive2") return reply({ type: "STOP_RESP", text: "NOEXIST" });
      deps.release(node);
      return reply({ type: "STOP_RESP", text: "STOPPED" });
    }
    case "LINKS_REQ": {
      const node = registry.get(request.aliveName);
      if (!node) return close("not-registered");
      // What it tells decides as much as a registration does, and another process could tell it.
      return deps.isVmOf(node, peer).then((isVm) => (isVm ? { action: "tell", node } : close("uid")));
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
      return close(registered.reason);
    default:
      return registered satisfies never;
  }
}

function close(reason: Extract<RequestResult, { action: "close" }>["reason"]): RequestResult {
  return { action: "close", reason };
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

/** A request and its answer, as the metrics count them. */
export function requestEvent(request: EpmdRequest, result: RequestResult): DaemonEvent {
  // An ALIVE2_REQ, whatever the reason of its refusal.
  const type = request.type === "ALIVE2_REQ_REFUSED" ? "ALIVE2_REQ" : request.type;
  const done = result.action === "close" ? "closed" : result.action === "tell" ? "ok" : resultOf(result.response);
  return { type: "request", request: type, result: done };
}

function resultOf(response: EpmdResponse): "ok" | "not-found" | "refused" {
  switch (response.type) {
    case "ALIVE2_RESP":
      return response.result === 0 ? "ok" : "refused";
    case "PORT2_RESP":
      return response.result === 0 ? "ok" : "not-found";
    case "KILL_RESP":
      return response.text === "OK" ? "ok" : "refused";
    case "STOP_RESP":
      return response.text === "STOPPED" ? "ok" : "not-found";
    default:
      return "ok";
  }
}

/** A request as the debug log shows it. */
export function describeRequest(request: EpmdRequest): string {
  switch (request.type) {
    case "ALIVE2_REQ":
      return `ALIVE2_REQ ${request.aliveName} port ${request.port}`;
    case "ALIVE2_REQ_REFUSED":
      return `ALIVE2_REQ with ${request.reason}`;
    case "PORT_PLEASE2_REQ":
      return `PORT_PLEASE2_REQ ${request.name}`;
    case "STOP_REQ":
    case "LINKS_REQ":
      return `${request.type} ${request.aliveName}`;
    case "NAMES_REQ":
      return request.pattern === undefined ? request.type : `${request.type} ${request.pattern}`;
    default:
      return request.type;
  }
}

export function describeResult(result: RequestResult): string {
  if (result.action === "close") return `closed: ${result.reason}`;
  if (result.action === "tell") return "kept, to ask with whom the node is linked";
  return describeResponse(result.response);
}

function describeResponse(response: EpmdResponse): string {
  switch (response.type) {
    case "ALIVE2_RESP":
      return response.result === 0 ? `registered, creation ${response.creation}` : "refused";
    case "PORT2_RESP":
      return response.result === 0 ? `port ${response.port}` : "not found";
    case "NAMES_RESP":
    case "DUMP_RESP":
      return `${response.nodes.length} names`;
    case "NAMES_MATCH_RESP":
      return `${response.names.length} names match`;
    default:
      return response.text;
  }
}
