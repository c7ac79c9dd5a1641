/** Works on what a source gives, on up to `limit` at a time: no more than that is held. The first failure ends it. */
export async function inParallel<T>(
  source: AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  let isOver = false;
  // A generator answers one call after the other.
  const run = async (): Promise<void> => {
    while (!isOver) {
      const { done, value } = await iterator.next();
      if (done) return;
      await work(value);
    }
  };
  try {
    await Promise.all(Array.from({ length: limit }, run));
  } finally {
    isOver = true;
    await iterator.return?.();
  }
}
