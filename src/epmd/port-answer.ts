import type { EpmdResponse } from "../core/epmd/messages.js";
import { type NodeName, parseNodeName } from "../core/node-name.js";
import type { LookUp } from "../core/observations.js";
import type { NodeDescription } from "../core/resolution.js";
import { formatPeer, type Peer } from "./peer.js";
import type { PeerLog } from "./peer-log.js";

/** Alive name and host, as long as they can be. */
export const LONGEST_LOGGED_NAME = 255 + 1 + 253;

export const NOT_FOUND = { type: "PORT2_RESP", result: 1 } as const;

/** The name of a PORT_PLEASE2 request; undefined for what can be no node. */
export function parseQuery(name: string): NodeName | undefined {
  try {
    return parseNodeName(name);
  } catch {
    return undefined;
  }
}

export function portAnswer(aliveName: string, port: number, description: NodeDescription): EpmdResponse {
  const { nodeType, protocol, highestVersion, lowestVersion, extra } = description;
  return { type: "PORT2_RESP", result: 0, port, aliveName, nodeType, protocol, highestVersion, lowestVersion, extra };
}

/** Why a look-up has no port. */
export interface NoPort {
  readonly outcome: Exclude<LookUp["outcome"], "found">;
  readonly reason: string;
}

/** Where that is told: in the log, and to who looks on. */
export interface Telling {
  readonly explain: (why: NoPort) => void;
  readonly log: PeerLog;
}

/** Not found, and why. */
export function refuse(name: string, peer: Peer, why: NoPort, { explain, log }: Telling): EpmdResponse {
  explain(why);
  const { outcome, reason } = why;
  const where = { node: name.slice(0, LONGEST_LOGGED_NAME), peer: formatPeer(peer), reason };
  // Of what strangers ask for, only why a stock client got no port is of interest.
  log[peer.local || outcome === "unreachable" ? "info" : "debug"](where, "node not found");
  return NOT_FOUND;
}

/** Not found, because something failed. */
export function failed(name: string, peer: Peer, why: NoPort, { explain, log }: Telling): EpmdResponse {
  explain(why);
  const node = name.slice(0, LONGEST_LOGGED_NAME);
  log.warn({ node, peer: formatPeer(peer), cause: why.reason }, "look-up failed");
  return NOT_FOUND;
}
