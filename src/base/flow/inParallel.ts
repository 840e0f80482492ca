/**
 * Runs `work` on each item, at most `limit` at once. After a failure nothing more begins, and what runs comes to its end.
 * @throws the first failure
 */
export const inParallel = async <T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> => {
  const rest = items.values();
  let failure: Readonly<{ error: unknown }> | undefined;
  const one = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && failure === undefined; next = rest.next())
      await work(next.value).catch((error: unknown) => {
        failure ??= { error };
      });
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, one));
  if (failure !== undefined) throw failure.error;
};
