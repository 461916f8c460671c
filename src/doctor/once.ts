/** Finds when it is asked for the first time, and never again. */
export function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => {
    found ??= find();
    return found;
  };
}

/** As once, for each question of another key. */
export function onceEach<Q, T>(find: (question: Q) => Promise<T>, keyOf: (question: Q) => string) {
  const found = new Map<string, Promise<T>>();
  return (question: Q): Promise<T> => {
    const key = keyOf(question);
    const before = found.get(key);
    if (before) return before;
    const finding = find(question);
    found.set(key, finding);
    return finding;
  };
}
