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
