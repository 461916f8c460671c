import type { EventEmitter } from "node:events";
import { exchangeLimit } from "../dns/exchange-slots.js";
import { hostLimit } from "../gateway/core/addresses.js";

/** A number of places for connections, and whether it has been said that all are taken. */
export class Places {
  readonly #limit: number;
  #taken = 0;
  #told = false;

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
    // Not at the first free place: clients that come again and again would fill the log.
    if (this.#taken < this.#limit / 2) this.#told = false;
  }

  /** True the first time since there was room: say it once. */
  tell(): boolean {
    const first = !this.#told;
    this.#told = true;
    return first;
  }
}

/** A place of each kind until the connection says `close`. @returns the kind that is full, when there is none */
export function takePlaces(kinds: readonly Places[], connection: Pick<EventEmitter, "once">): Places | undefined {
  const full = kinds.find((kind) => kind.full);
  if (full) return full;
  for (const kind of kinds) kind.take();
  connection.once("close", () => {
    for (const kind of kinds) kind.leave();
  });
  return undefined;
}

/** Descriptors that the daemon needs beside its connections and its DNS queries: listening sockets, a DNS zone, Consul, logs. */
const RESERVED = 128;

/**
 * At most as many connections as there are file descriptors for: one that gets none is closed by the system before
 * anybody knows whose it is, and then strangers could keep the nodes here from registering.
 */
export function connectionLimit(wanted: number, openFiles: number | undefined, gateway = false): number {
  if (openFiles === undefined) return wanted;
  const needed = RESERVED + exchangeLimit(openFiles) + (gateway ? gatewayFiles(openFiles) : 0);
  return Math.max(2, Math.min(wanted, openFiles - Math.min(needed, Math.ceil(openFiles / 2))));
}

/** A listener for each host, the questions that it passes on, and the connections of those who ask. */
function gatewayFiles(openFiles: number): number {
  return hostLimit(openFiles) + exchangeLimit(openFiles) + RESERVED / 2;
}
