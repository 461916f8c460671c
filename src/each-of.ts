/** How many pieces of work are begun before one waits for another: each may have connections. */
const AT_ONCE = 16;
/**
 * How many are under way at most, those that wait for a peer included. Each may have four connections (`doctor --cluster`):
 * together 512, half of 1,024 open files, which is a usual limit (RLIMIT_NOFILE, getrlimit(2)).
 */
const MOST_UNDER_WAY = 128;

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
  const underWay = new Set<Promise<R>>();
  const waiting = items.entries();
  const take = async () => {
    for (const [index, item] of waiting) {
      const one = work(item);
      begun[index] = one;
      const end = () => underWay.delete(one);
      underWay.add(one);
      one.then(end, end);
      await (patience === Number.POSITIVE_INFINITY ? one : atMost(patience, one));
      while (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return Promise.all(begun);
}

/** What the work gives; undefined where that takes longer. */
export async function atMost<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, milliseconds));
  });
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}
