import type { DnsResult } from "../dns/resolver.js";

/** So many of the queries of one look-up are under way at once: an answer must not make a flood of questions. */
const MAX_QUERIES = 16;

/** The address queries of one look-up, each sent once. */
export class QueryTurns {
  readonly #deadline: number;
  readonly #now: () => number;
  readonly #queries = new Map<string, Promise<DnsResult>>();
  readonly #waiting: ((deadline: number) => void)[] = [];
  #underWay = 0;

  /** @param deadline of the look-up, milliseconds on the clock of `now` */
  constructor(deadline: number, now: () => number) {
    this.#deadline = deadline;
    this.#now = now;
  }

  /** @param send is called with the deadline of this query: those behind it in the queue get their share of the time */
  once(key: string, send: (deadline: number) => Promise<DnsResult>): Promise<DnsResult> {
    const known = this.#queries.get(key);
    if (known) return known;
    const query = this.#inTurn(send);
    this.#queries.set(key, query);
    return query;
  }

  async #inTurn(send: (deadline: number) => Promise<DnsResult>): Promise<DnsResult> {
    const turn = new Promise<number>((resolve) => this.#waiting.push(resolve));
    // Those that are asked for in the same moment are counted too.
    queueMicrotask(() => this.#next());
    const deadline = await turn;
    try {
      return await send(deadline);
    } finally {
      this.#underWay--;
      this.#next();
    }
  }

  #next(): void {
    if (this.#underWay >= MAX_QUERIES) return;
    const start = this.#waiting.shift();
    if (!start) return;
    this.#underWay++;
    const turns = 1 + Math.ceil(this.#waiting.length / MAX_QUERIES);
    start(this.#now() + (this.#deadline - this.#now()) / turns);
  }
}
