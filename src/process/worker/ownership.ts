type Owned = Readonly<{ route: string; partition: number; owner: string | null }>;

export type Share = Readonly<{
  claim: readonly { route: string; partition: number }[];
  release: readonly { route: string; partition: number }[];
}>;

const key = (p: Readonly<{ route: string; partition: number }>): string => `${p.route}/${p.partition}`;

/**
 * This worker's fair share: partitions ÷ living workers, the remainder to the first in order of id. Every worker computes
 * it from the same records, so shares add up without anyone in charge. Pure.
 * @param mine keys (`route/partition`) that this worker holds
 */
export const fairShare = (
  me: string,
  { workers, partitions }: Readonly<{ workers: readonly string[]; partitions: readonly Owned[] }>,
  mine: ReadonlySet<string>,
): Share => {
  const living = workers.includes(me) ? workers : [...workers, me].sort();
  const quota =
    Math.floor(partitions.length / living.length) + (living.indexOf(me) < partitions.length % living.length ? 1 : 0);
  const held = partitions.filter((p) => mine.has(key(p)));
  const free = partitions.filter((p) => p.owner === null && !mine.has(key(p)));
  return { claim: free.slice(0, Math.max(0, quota - held.length)), release: held.slice(quota) };
};
