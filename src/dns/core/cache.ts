export interface CacheLimits {
  /** Longest time a value or an absence is fresh, milliseconds. */
  readonly maxTtl: number;
  /** How long the last good value is kept for when every name server fails, milliseconds after it was stored (RFC 8767). */
  readonly staleTtl: number;
  readonly maxEntries: number;
  /** Records in all good values. */
  readonly maxRecords: number;
}

interface Good<P> {
  readonly value: P;
  /** In the value. */
  readonly records: number;
  readonly storedAt: number;
  readonly freshUntil: number;
}

interface Absent<N> {
  readonly value: N;
  readonly freshUntil: number;
}

interface Entry<P, N> {
  readonly good: Good<P> | undefined;
  readonly absent: Absent<N> | undefined;
}

/**
 * Answers of name servers, by question. Pure: `now` is milliseconds on the caller's clock, TTLs are seconds as in DNS.
 * Holds at most `maxEntries` with `maxRecords` in them; the least recently used is dropped first.
 */
export class AnswerCache<P, N> {
  readonly #limits: CacheLimits;
  readonly #entries = new Map<string, Entry<P, N>>();
  #records = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  /** A value or an absence that may still be given out as it is. */
  fresh(key: string, now: number): P | N | undefined {
    const entry = this.#use(key);
    if (entry?.absent && entry.absent.freshUntil > now) return entry.absent.value;
    return entry?.good && entry.good.freshUntil > now ? entry.good.value : undefined;
  }

  /** The last good value, whatever its TTL, when it was stored less than `maxAge` milliseconds (default: the stale TTL) ago. */
  lastGood(key: string, now: number, maxAge = this.#limits.staleTtl): P | undefined {
    const good = this.#entries.get(key)?.good;
    return good && now - good.storedAt < maxAge ? good.value : undefined;
  }

  /** @param records in the value */
  storeGood(key: string, value: P, ttl: number, now: number, records = 1): void {
    const freshUntil = now + Math.min(ttl * 1000, this.#limits.maxTtl);
    this.#store(key, { good: { value, records, storedAt: now, freshUntil }, absent: undefined });
  }

  /** Drops the last good value too: a name that a name server denies is never answered from stale. */
  storeAbsent(key: string, value: N, ttl: number, now: number): void {
    const freshUntil = now + Math.min(ttl * 1000, this.#limits.maxTtl);
    if (freshUntil > now) this.#store(key, { good: undefined, absent: { value, freshUntil } });
    else this.#delete(key);
  }

  /** Replaces the last good value, or drops it; the next look-up asks the name servers. */
  revise(key: string, change: (value: P) => P | undefined): void {
    const good = this.#entries.get(key)?.good;
    const value = good && change(good.value);
    if (good === undefined || value === good.value) return;
    if (value === undefined) this.#delete(key);
    else this.#entries.set(key, { good: { ...good, value, freshUntil: 0 }, absent: undefined });
  }

  #use(key: string): Entry<P, N> | undefined {
    const entry = this.#entries.get(key);
    if (entry) {
      // A Map lists its keys in the order in which they were set, so that the first is the least recently used.
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #store(key: string, entry: Entry<P, N>): void {
    this.#delete(key);
    this.#entries.set(key, entry);
    this.#records += entry.good?.records ?? 0;
    const { maxEntries, maxRecords } = this.#limits;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries && this.#records <= maxRecords) return;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    this.#records -= this.#entries.get(key)?.good?.records ?? 0;
    this.#entries.delete(key);
  }
}
