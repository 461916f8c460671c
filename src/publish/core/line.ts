/** Somebody who waits for a turn. */
export interface Waiting<T> {
  readonly caller: T;
  readonly share: string;
  /** The earlier goes first. */
  readonly by: number;
  /** Of those with the same `by`, who came first. */
  readonly order: number;
  /** False: it has left, or had its turn. Such a one is dropped when it comes to the front. */
  isWaiting: boolean;
}

/** The calls of one share. */
interface Share<T> {
  readonly waiting: Heap<Waiting<T>>;
  underWay: number;
}

/**
 * Those that wait for one kind of call: first whose share has the fewest calls under way, then who has the least time left. A choice takes
 * about as long among thousands as among a few.
 */
export class Line<T> {
  /** Calls of one share at once. */
  readonly #most: number;
  readonly #shares = new Map<string, Share<T>>();
  /** All that wait of shares without calls under way. Those of other shares are dropped, and return when the share has none. */
  readonly #front = new Heap<Waiting<T>>();
  /** Shares with calls under way. There are no more than calls. */
  readonly #busy = new Set<Share<T>>();

  constructor(most: number) {
    this.#most = most;
  }

  enter(one: Waiting<T>): void {
    const share = this.#shares.get(one.share) ?? { waiting: new Heap<Waiting<T>>(), underWay: 0 };
    this.#shares.set(one.share, share);
    share.waiting.push(one);
    if (share.underWay === 0) this.#front.push(one);
  }

  /** Who goes next, if anybody may. Its call counts as under way. */
  next(): Waiting<T> | undefined {
    const one = this.#firstOfFront() ?? this.#firstOfBusy();
    if (!one) return undefined;
    one.isWaiting = false;
    const share = this.#shares.get(one.share);
    if (share) {
      share.underWay++;
      this.#busy.add(share);
    }
    return one;
  }

  /** A call of the share has ended. */
  ended(name: string): void {
    const share = this.#shares.get(name);
    if (!share || --share.underWay > 0) return;
    this.#busy.delete(share);
    const first = firstOf(share.waiting);
    if (first) this.#front.push(first);
    else this.#shares.delete(name);
  }

  #firstOfFront(): Waiting<T> | undefined {
    for (let one = this.#front.first; one; one = this.#front.first) {
      this.#front.pop();
      const share = this.#shares.get(one.share);
      if (one.isWaiting && share?.underWay === 0) return one;
      // All of it have left.
      if (share?.underWay === 0 && !firstOf(share.waiting)) this.#shares.delete(one.share);
    }
    return undefined;
  }

  #firstOfBusy(): Waiting<T> | undefined {
    let best: { readonly one: Waiting<T>; readonly underWay: number } | undefined;
    for (const { waiting, underWay } of this.#busy) {
      const one = underWay < this.#most ? firstOf(waiting) : undefined;
      if (!one || (best && underWay > best.underWay)) continue;
      if (!best || underWay < best.underWay || isBefore(one, best.one)) best = { one, underWay };
    }
    return best?.one;
  }
}

/** The first that still waits. */
function firstOf<T>(heap: Heap<Waiting<T>>): Waiting<T> | undefined {
  while (heap.first && !heap.first.isWaiting) heap.pop();
  return heap.first;
}

type Ordered = Pick<Waiting<unknown>, "by" | "order">;

function isBefore(one: Ordered, other: Ordered): boolean {
  return one.by === other.by ? one.order < other.order : one.by < other.by;
}

/** A binary heap. */
class Heap<T extends Ordered> {
  readonly #items: T[] = [];

  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (!parent || !isBefore(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): void {
    const items = this.#items;
    const item = items.pop();
    if (!item || items.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [items[2 * at + 1], items[2 * at + 2]];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!child || !isBefore(child, item)) break;
      items[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    items[at] = item;
  }
}
