import type { VerificationStore } from "./verificationStore.ts";

/** How far a set of routes is proven. */
export type Verified = Readonly<{
  /** clusterTime of the source: what it committed by then was compared, of every route; 0n where one was never verified. */
  upTo: bigint;
  /** Documents that are not as they should be. */
  wrong: number;
  /** Documents that were still on their way. */
  behind: number;
  /** Collections, views and indexes that are not as they should be, as of the last pass. */
  structure: readonly string[];
  /** Those that were never verified to the end. */
  unverified: readonly string[];
}>;

/** What `ferry verify`, here or in another process, has proven of these routes so far. @throws FERRY_MONGO_* */
export const verifiedUpTo = async (store: VerificationStore, routes: readonly string[]): Promise<Verified> => {
  const records = new Map((await store.all(routes)).map((record) => [record._id, record]));
  const times = routes.map((route) => records.get(route)?.verifiedTo?.toBigInt() ?? 0n);
  return {
    upTo: times.reduce((oldest, at) => (at < oldest ? at : oldest), times[0] ?? 0n),
    wrong: await store.wrongOf(routes),
    behind: [...records.values()].reduce((sum, { behind }) => sum + Number(behind ?? 0), 0),
    structure: (await store.structure())?.wrong ?? [],
    unverified: routes.filter((_, i) => times[i] === 0n),
  };
};

/** Who follows writes how far once a second; silent for so long, it has ended or cannot keep up, ms. */
const SILENT_MS = 5000;

/**
 * Does a process follow the changes of all these routes now (`ferry verify --follow`)?
 * @param now of the server that notes how far verification is, ms since the epoch
 * @throws FERRY_MONGO_*
 */
export const isFollowed = async (
  store: VerificationStore,
  routes: readonly string[],
  now: number,
): Promise<boolean> => {
  const records = await store.all(routes);
  const times = new Map(records.map(({ _id, followedAt }) => [_id, followedAt?.getTime()]));
  return routes.every((route) => now - (times.get(route) ?? 0) < SILENT_MS);
};
