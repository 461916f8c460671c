import type { Socket } from "node:net";
import type { Peer, PeerLogs } from "../epmd/peer.js";
import { Places, takePlaces } from "../epmd/places.js";

/** People and monitors are few; strangers leave half of it to who is on this machine. */
const MAX_CONNECTIONS = 64;
/** Beyond those, for health checks; as many again for strangers. */
const SPARE = 4;

/**
 * Who gets a connection. When all are in use a few more are taken, on which only health is told: whoever holds the others
 * open must not have a supervisor end the daemon. They need no time-out, because the oldest of them makes room.
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
    if (full.tell()) this.#logs.about(peer).warn({}, `${what} in use: only health is told over HTTP`);
    const spare = peer.local ? this.#spare.local : this.#spare.stranger;
    const [oldest] = spare;
    if (spare.size >= SPARE) oldest?.destroy();
    spare.add(socket);
    socket.once("close", () => spare.delete(socket));
  }

  /** There was no place: only health is told. */
  isSpare(socket: Socket): boolean {
    return this.#spare.local.has(socket) || this.#spare.stranger.has(socket);
  }
}
