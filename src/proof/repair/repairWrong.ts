import { Binary, type ObjectId } from "bson";
import type { PartitionRecord } from "#apply/lanes/laneRecords.ts";
import { type NewRepair, type RepairRecord, RepairStore } from "#apply/repair/repairStore.ts";
import { hashIdentity } from "#base/bson/identity.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { type CarriedDeps, readCarried } from "#proof/verify/carried.ts";
import { comparedRoute } from "#proof/verify/comparedRoute.ts";
import { pairRecheck } from "#proof/verify/pairRecheck.ts";
import type { Wrong } from "#proof/verify/recheck.ts";
import type { Judged } from "#proof/verify/verification.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { GRACE_MS } from "#proof/verify/verifyNamespaces.ts";
import type { SinkOf } from "#sink/open/openSink.ts";

export type RepairDeps = CarriedDeps & Readonly<{ clock: Clock; signal: AbortSignal; sinkOf: SinkOf }>;

/** One route's documents that verification found to be wrong, as raw `{ _id }`s. */
export type FoundRoute = Readonly<{ pair: Judged; topic: string; keys: readonly Uint8Array[] }>;

/** One route's documents that are still wrong. `behind`: so many others have no verdict, because what is applied stands still. */
export type WrongRoute = Readonly<{ pair: Judged; topic: string; wrong: readonly Wrong[]; behind: number }>;

/** Documents that are checked, and repaired, in one batch. */
const AT_ONCE = 1000;
const LOOK_MS = 200;
/** What is behind may still arrive within this time, ms. */
const SETTLE_MS = 30_000;

/** Looks at these until each is settled, or the time is over. Verdicts are written down. */
const settled = async (
  { pair, topic, keys }: FoundRoute,
  store: VerificationStore,
  { clock, signal }: RepairDeps,
): Promise<WrongRoute> => {
  const recheck = pairRecheck(pair, { clock, signal, graceMs: GRACE_MS });
  recheck.add(keys.map((key) => ({ key })));
  const wrong: Wrong[] = [];
  const deadline = clock.now() + SETTLE_MS;
  await lookUntil(LOOK_MS, { clock, signal }, async () => {
    while (recheck.size > 0 && clock.now() < deadline) {
      const round = await recheck.look(AT_ONCE);
      await store.judge(pair.route, round.wrong, [...round.right, ...round.excused]);
      wrong.push(...round.wrong);
      if (round.right.length + round.wrong.length + round.excused.length === 0) return false;
    }
    return true;
  });
  return { pair, topic, wrong, behind: recheck.size };
};

/** What verification has found to be wrong, by route. @throws what `readCarried` throws, FERRY_MONGO_* */
export const foundWrong = async (deps: RepairDeps): Promise<readonly FoundRoute[]> => {
  const store = new VerificationStore(deps.state);
  const { routes, kept, applied } = await readCarried(deps);
  const found: FoundRoute[] = [];
  for (const route of [...routes, ...kept]) {
    const keys: Uint8Array[] = [];
    for await (const key of store.keys(route.name)) keys.push(key);
    if (keys.length > 0)
      found.push({ pair: await comparedRoute(route, { ...deps, applied }), topic: route.from, keys });
  }
  return found;
};

/** What of these still is wrong, or has no verdict: each document is looked at again. @throws FERRY_MONGO_*, the signal's reason */
export const stillWrong = async (found: readonly FoundRoute[], deps: RepairDeps): Promise<readonly WrongRoute[]> => {
  const store = new VerificationStore(deps.state);
  const left: WrongRoute[] = [];
  for (const one of found) {
    await one.pair.learn();
    const seen = await settled(one, store, deps);
    if (seen.wrong.length + seen.behind > 0) left.push(seen);
  }
  return left;
};

/** Any partition's owner can repair any document; so all of them share the work. */
const partitionsOf = (state: StateDb, route: string): Promise<readonly number[]> =>
  translated(`reading the partitions of ${route}`, async () => {
    const found = await state.collection<PartitionRecord>("partitions").find({ route }).toArray();
    return found.map(({ partition }) => partition).sort((a, b) => a - b);
  });

const repairOf = (route: string, partitions: readonly number[], { key, kind, difference }: Wrong): NewRepair => ({
  route,
  partition: partitions[(hashIdentity(key) >>> 0) % partitions.length] ?? 0,
  key: new Binary(key),
  kind,
  ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
});

/** Asks the owners of the routes' partitions to write these documents again. @throws FERRY_MONGO_* */
export const askForRepair = async (
  { state }: RepairDeps,
  found: readonly WrongRoute[],
): Promise<readonly ObjectId[]> => {
  const store = new RepairStore(state);
  await state.prepare();
  const repairs: NewRepair[] = [];
  for (const { pair, wrong } of found) {
    const partitions = await partitionsOf(state, pair.route);
    repairs.push(...wrong.map((one) => repairOf(pair.route, partitions, one)));
  }
  return store.ask(repairs);
};

/** Waits until all of these are done or refused, or the time is over. @returns as they are then */
export const awaitRepairs = async (
  { state, clock, signal }: RepairDeps,
  ids: readonly ObjectId[],
  waitMs: number,
): Promise<readonly RepairRecord[]> => {
  const store = new RepairStore(state);
  const deadline = clock.now() + waitMs;
  return lookUntil(LOOK_MS, { clock, signal }, async () => {
    const records = await store.of(ids);
    return (records.every(({ state }) => state !== "asked") || clock.now() > deadline) && records;
  });
};
