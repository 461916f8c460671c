/** How many pieces of work are under way at once: each may have connections. */
const AT_ONCE = 16;

/**
 * As Promise.all, some at a time.
 * @param patience milliseconds: work that takes longer waits for a peer, and the next is begun beside it
 */
export async function eachOf<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  patience = Number.POSITIVE_INFINITY,
): Promise<R[]> {
  const begun: Promise<R>[] = [];
  const waiting = items.entries();
  const take = async () => {
    for (const [index, item] of waiting) {
      const one = work(item);
      begun[index] = one;
      await (patience === Number.POSITIVE_INFINITY ? one : atMost(patience, one));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return Promise.all(begun);
}

/** Until the work is done, or for a time. */
export async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, over]).finally(() => clearTimeout(timer));
}
