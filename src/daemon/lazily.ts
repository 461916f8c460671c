/**
 * A part that is made with its first use. Whoever asks in the meantime waits for the same attempt; one that failed, for
 * want of file descriptors for example, is made again with the next use.
 */
export function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    if (made) return made;
    const attempt = make();
    made = attempt;
    attempt.catch(() => {
      if (made === attempt) made = undefined;
    });
    return attempt;
  };
}
