import type { DaemonEvent } from "../../src/daemon/core/observations.js";
import { type LookedUp, recordLookUp } from "../../src/epmd/look-up.js";
import type { Peer } from "../../src/epmd/peer.js";
import type { PortPlease2Request } from "../../src/epmd/wire/messages.js";
import { formatNodeName } from "../../src/names/node-name.js";
import { collectLog } from "./log-lines.js";

export function portPlease2(name: string, forwarded = false): PortPlease2Request {
  return { type: "PORT_PLEASE2_REQ", name, withHost: name.includes("@"), forwarded };
}

/** What the log and the observers get of a look-up. */
export function recorded(lookedUp: LookedUp, peer: Peer) {
  const { log, lines } = collectLog();
  const events: DaemonEvent[] = [];
  const observe = (event: DaemonEvent) => void events.push(event);
  recordLookUp(lookedUp, peer, { at: 0, elapsedMs: 0 }, { nodes: { fullName: formatNodeName }, observe, log });
  return { lines, events };
}
