import type { LivingWorker } from "#apply/lanes/laneStore.ts";

type Owned = Readonly<{ route: string; partition: number; owner: string | null }>;

export type Share = Readonly<{
  claim: readonly { route: string; partition: number }[];
  release: readonly { route: string; partition: number }[];
}>;

const key = (p: Readonly<{ route: string; partition: number }>): string => `${p.route}/${p.partition}`;

/** Partitions ÷ their carriers, the remainder to the first in order of id. */
const shareAmong = (
  me: string,
  carriers: readonly string[],
  partitions: readonly Owned[],
  mine: ReadonlySet<string>,
): Share => {
  const quota =
    Math.floor(partitions.length / carriers.length) +
    (carriers.indexOf(me) < partitions.length % carriers.length ? 1 : 0);
  const held = partitions.filter((p) => mine.has(key(p)));
  const free = partitions.filter((p) => p.owner === null && !mine.has(key(p)));
  return { claim: free.slice(0, Math.max(0, quota - held.length)), release: held.slice(quota) };
};

/**
 * This worker's fair share. Workers may carry different routes (`--topics`, `--config`): partitions are shared out among those
 * that carry them, and those with the same carriers as one. Every worker computes it from the same records, so shares add up
 * without anyone in charge. Pure.
 * @param partitions of the routes that this worker carries
 * @param mine keys (`route/partition`) that this worker holds
 */
export const fairShare = (
  me: string,
  { workers, partitions }: Readonly<{ workers: readonly LivingWorker[]; partitions: readonly Owned[] }>,
  mine: ReadonlySet<string>,
): Share => {
  const carrying = workers.map(({ id, routes }) => ({
    id,
    routes: routes === undefined ? undefined : new Set(routes),
  }));
  const carriersOf = (route: string): readonly string[] => {
    const others = carrying.filter(({ id, routes }) => id !== me && routes?.has(route) !== false);
    return [me, ...others.map(({ id }) => id)].sort();
  };
  const teams = new Map<string, readonly string[]>();
  const teamOf = new Map<string, string>();
  for (const { route } of partitions) {
    if (teamOf.has(route)) continue;
    const carriers = carriersOf(route);
    const team = JSON.stringify(carriers);
    teams.set(team, carriers);
    teamOf.set(route, team);
  }
  const alike = Map.groupBy(partitions, ({ route }) => teamOf.get(route));
  const shares = [...teams].map(([team, carriers]) => shareAmong(me, carriers, alike.get(team) ?? [], mine));
  return { claim: shares.flatMap(({ claim }) => claim), release: shares.flatMap(({ release }) => release) };
};
