import type { EpmdRequest, EpmdResponse } from "../core/epmd/messages.js";
import type { NodeName } from "../core/node-name.js";
import type { DaemonEvent, LookUp, Observe } from "../core/observations.js";
import type { Resolution } from "../core/resolution.js";
import type { ResolveOptions } from "../resolution/resolution.js";
import type { Answer } from "./answer.js";
import { formatPeer, type Peer } from "./peer.js";
import { LONGEST_LOGGED_NAME, parseQuery } from "./port-answer.js";

export type Resolve = (name: NodeName, options: ResolveOptions) => Resolution | Promise<Resolution>;

interface Observed {
  /** As the client wrote it. */
  readonly name: string;
  readonly peer: Peer;
  readonly resolve: Resolve;
  /** The name with its host as it is looked up. */
  readonly fullName: (name: NodeName) => string;
  readonly isGateway: (address: string) => boolean;
  readonly observe: Observe;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Carries out a look-up and tells what came of it; what it resolves with is listened in on. */
export function observeLookUp(
  { name, peer, resolve, fullName, isGateway, observe, now }: Observed,
  lookUp: (resolve: Resolve) => EpmdResponse | Promise<EpmdResponse>,
): EpmdResponse | Promise<EpmdResponse> {
  const at = now();
  const startedAt = performance.now();
  let node = parseQuery(name);
  let resolution: Resolution | undefined;
  const heard = (settled: Resolution) => {
    resolution = settled;
    return settled;
  };
  const listening: Resolve = (asked, options) => {
    node = asked;
    const result = resolve(asked, options);
    return result instanceof Promise ? result.then(heard) : heard(result);
  };
  const tell = (response: EpmdResponse) => {
    const way = name.includes("@") ? "module" : isGateway(peer.dialled) ? "gateway" : "host";
    observe({
      type: "look-up",
      at,
      node: node ? fullName(node) : name.slice(0, LONGEST_LOGGED_NAME),
      asker: peer.address,
      here: peer.sameHost,
      way,
      ...whatCame(response, resolution, way === "gateway" ? "no relay leads to it" : `it would dial ${peer.dialled}`),
      elapsedMs: Math.round((performance.now() - startedAt) * 100) / 100,
    });
    return response;
  };
  const response = lookUp(listening);
  return response instanceof Promise ? response.then(tell) : tell(response);
}

type WhatCame = Pick<LookUp, "outcome" | "source" | "stale" | "port" | "endpoints" | "reason">;

/** @param unreachable why a node that is there has no port for this client */
function whatCame(response: EpmdResponse, resolution: Resolution | undefined, unreachable: string): WhatCame {
  const answered = response.type === "PORT2_RESP" && response.result === 0 ? response.port : undefined;
  const none = { source: undefined, stale: false, port: answered, endpoints: [], reason: undefined };
  // A node alive here is answered without a resolution.
  if (!resolution) return answered === undefined ? { ...none, outcome: "refused" } : { ...none, ...ALIVE_HERE };
  switch (resolution.outcome) {
    case "found": {
      const { source, stale } = resolution;
      const endpoints = resolution.endpoints.map((endpoint) => formatPeer(endpoint));
      const came = { source, stale, port: answered, endpoints };
      if (answered === undefined) return { ...came, outcome: "unreachable", reason: unreachable };
      return { ...came, outcome: "found", reason: undefined };
    }
    case "not-found":
      return { ...none, outcome: "not-found", reason: resolution.reason };
    case "unavailable":
      return { ...none, outcome: "unavailable", reason: resolution.cause };
    default:
      return resolution satisfies never;
  }
}

const ALIVE_HERE = { outcome: "found", source: "registry" } as const;

/** A request and its answer, for counting. */
export function requestEvent(request: EpmdRequest, result: Answer): DaemonEvent {
  // A refused registration is one that asked to be registered.
  const type = request.type === "ALIVE2_REQ_REFUSED" ? "ALIVE2_REQ" : request.type;
  return { type: "request", request: type, result: result.action === "close" ? "closed" : resultOf(result.response) };
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
