import type { EventEmitter } from "node:events";

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
