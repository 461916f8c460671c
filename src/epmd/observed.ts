import type { EpmdRequest, EpmdResponse } from "../core/epmd/messages.js";
import type { NodeName } from "../core/node-name.js";
import type { DaemonEvent, Observe } from "../core/observations.js";
import type { Resolution } from "../core/resolution.js";
import type { ResolveOptions } from "../resolution/resolution.js";
import type { Answer } from "./answer.js";
import { formatPeer, type Peer } from "./peer.js";
import { LONGEST_LOGGED_NAME, type NoPort, parseQuery } from "./port-answer.js";

export type Resolve = (name: NodeName, options: ResolveOptions) => Resolution | Promise<Resolution>;

/** What a look-up asks with, so that it is heard what comes of it. */
export interface Asking {
  readonly resolve: Resolve;
  readonly explain: (why: NoPort) => void;
}

export interface LookUpObserverDeps {
  readonly resolve: Resolve;
  /** The name with its host as it is looked up. */
  readonly fullName: (name: NodeName) => string;
  readonly isGateway: (address: string) => boolean;
  readonly observe: Observe;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Listens in on a look-up. It is on the way of every answer: objects are built whole, which is several times as fast. */
class Listening implements Asking {
  readonly #resolve: Resolve;
  asked: NodeName | undefined;
  resolution: Resolution | undefined;
  noPort: NoPort | undefined;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  readonly resolve: Resolve = (name, options) => {
    this.asked = name;
    const result = this.#resolve(name, options);
    if (result instanceof Promise) return result.then((settled) => this.#heard(settled));
    return this.#heard(result);
  };

  readonly explain = (why: NoPort): void => {
    this.noPort = why;
  };

  #heard(resolution: Resolution): Resolution {
    this.resolution = resolution;
    return resolution;
  }
}

/** Carries out look-ups and tells what came of them. @returns the answer of `lookUp` */
export function observeLookUp(
  name: string,
  peer: Peer,
  deps: LookUpObserverDeps,
  lookUp: (asking: Asking) => EpmdResponse | Promise<EpmdResponse>,
): EpmdResponse | Promise<EpmdResponse> {
  const at = deps.now();
  const startedAt = performance.now();
  const listening = new Listening(deps.resolve);
  const tell = (response: EpmdResponse) => {
    const { resolution, noPort } = listening;
    const node = listening.asked ?? parseQuery(name);
    const way = name.includes("@") ? "module" : deps.isGateway(peer.dialled) ? "gateway" : "host";
    const port = response.type === "PORT2_RESP" && response.result === 0 ? response.port : undefined;
    const found = resolution?.outcome === "found" ? resolution : undefined;
    deps.observe({
      type: "look-up",
      at,
      node: node ? deps.fullName(node) : name.slice(0, LONGEST_LOGGED_NAME),
      asker: peer.address,
      here: peer.sameHost,
      way,
      outcome: port === undefined ? (noPort?.outcome ?? "refused") : "found",
      // A node alive here is answered without a resolution.
      source: found?.source ?? (port === undefined ? undefined : "registry"),
      stale: found?.stale ?? false,
      port,
      endpoints: found?.endpoints.map((endpoint) => formatPeer(endpoint)) ?? NONE,
      reason: port === undefined ? noPort?.reason : undefined,
      elapsedMs: Math.round((performance.now() - startedAt) * 100) / 100,
    });
    return response;
  };
  const response = lookUp(listening);
  return response instanceof Promise ? response.then(tell) : tell(response);
}

const NONE: readonly string[] = [];

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
