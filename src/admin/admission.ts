import type { Socket } from "node:net";
import type { Peer, PeerLogs } from "../epmd/peer.js";
import { Places, takePlaces } from "../epmd/places.js";

/** For all peers; strangers may use half of them. */
const MAX_CONNECTIONS = 64;
/** More connections for health checks: as many for local peers as for strangers. */
const SPARE = 4;

/**
 * Limits connections. When all are in use a few more are accepted, on which only health is answered: a client that holds
 * connections open must not make a supervisor restart the daemon. Of these the oldest is closed when another one comes, so
 * they need no timeout.
 */
export class Admission {
  readonly #places = new Places(MAX_CONNECTIONS);
  readonly #strangerPlaces = new Places(MAX_CONNECTIONS / 2);
  readonly #spare = { local: new Set<Socket>(), stranger: new Set<Socket>() };
  readonly #logs: PeerLogs;

  constructor(logs: PeerLogs) {
    this.#logs = logs;
  }

  admit(socket: Socket, peer: Peer): void {
    const full = takePlaces(peer.local ? [this.#places] : [this.#places, this.#strangerPlaces], socket);
    if (!full) return;
    const what = full === this.#places ? "all connections are" : "the strangers' half of all connections is";
    if (full.tell()) this.#logs.about(peer).warn({}, `${what} in use: only health is answered over HTTP`);
    const spare = peer.local ? this.#spare.local : this.#spare.stranger;
    const [oldest] = spare;
    if (spare.size >= SPARE) oldest?.destroy();
    spare.add(socket);
    socket.once("close", () => spare.delete(socket));
  }

  /** Only health is answered on it. */
  isSpare(socket: Socket): boolean {
    return this.#spare.local.has(socket) || this.#spare.stranger.has(socket);
  }
}
