import type { EventEmitter } from "node:events";
import { exchangeLimit } from "../dns/exchange-slots.js";
import { hostLimit } from "../gateway/core/addresses.js";

/** A number of places for connections, and whether it was logged that all are taken. */
export class Places {
  readonly #limit: number;
  #taken = 0;
  #logged = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#taken >= this.#limit;
  }

  take(): void {
    this.#taken++;
  }

  leave(): void {
    this.#taken--;
    // Not at the first free place: clients that retry would fill the log.
    if (this.#taken < this.#limit / 2) this.#logged = false;
  }

  /** Whether to log that all are taken: true once, until half of them are free. */
  tell(): boolean {
    const first = !this.#logged;
    this.#logged = true;
    return first;
  }
}

/** Takes a place of each kind until the connection emits `close`. @returns the kind that is full, else undefined */
export function takePlaces(kinds: readonly Places[], connection: Pick<EventEmitter, "once">): Places | undefined {
  const full = kinds.find((kind) => kind.full);
  if (full) return full;
  for (const kind of kinds) kind.take();
  connection.once("close", () => {
    for (const kind of kinds) kind.leave();
  });
  return undefined;
}

/** File descriptors for everything but connections and DNS queries: listening sockets, a DNS zone, Consul, logs. */
const RESERVED = 128;

/**
 * At most as many connections as there are file descriptors for. The system closes a connection without a descriptor
 * before its peer is known, so strangers could keep the nodes here from registering.
 */
export function connectionLimit(wanted: number, openFiles: number | undefined, gateway = false): number {
  if (openFiles === undefined) return wanted;
  const needed = RESERVED + exchangeLimit(openFiles) + (gateway ? gatewayFiles(openFiles) : 0);
  return Math.max(2, Math.min(wanted, openFiles - Math.min(needed, Math.ceil(openFiles / 2))));
}

/** The gateway's: a listener for each host, the questions that it passes on, and DNS connections. */
function gatewayFiles(openFiles: number): number {
  return hostLimit(openFiles) + exchangeLimit(openFiles) + RESERVED / 2;
}
