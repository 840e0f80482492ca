import { isFerry } from "#base/errors/ferryError.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { isHistoryLost } from "#io/mongo/serverCodes.ts";
import type { Pace } from "#io/pace/pace.ts";
import { readCarriedCollections, requireCollections } from "./carried.ts";
import { Follow } from "./follow.ts";
import { comparedPair, type Pair } from "./pair.ts";
import { clusterTimeOf } from "./reads.ts";
import type { Moment } from "./recheck.ts";
import { pairOf } from "./routePairs.ts";
import { Verification } from "./verification.ts";
import { provenUpTo, VerificationStore } from "./verificationStore.ts";
import { type Verified, verifiedUpTo } from "./verifiedUpTo.ts";
import { GRACE_MS, lookAtStructure, openPace, passDeps, readCompared, type VerifyDeps } from "./verifyNamespaces.ts";

export type FollowNamespacesDeps = VerifyDeps &
  Readonly<{
    /** About once a second; following ends where it answers true. */
    onVerified: (verified: Verified) => Promise<boolean> | boolean;
  }>;

/** How often the structure is compared, and new collections are looked for, ms. */
const STRUCTURE_MS = 30_000;
const CARRIED_MS = 5000;

const now = async ({ source, target }: VerifyDeps): Promise<Moment> => {
  const [here, there] = await Promise.all([source, target].map(clusterTimeOf));
  return { source: here ?? 0n, target: there ?? 0n };
};

const earlier = (a: Moment, b: Moment): Moment => (a.source <= b.source ? a : b);

/** Where following must begin: what is proven, and what passes that are under way began with, is not older. */
const beginning = async (deps: VerifyDeps, store: VerificationStore, routes: readonly string[]): Promise<Moment> => {
  const records = await store.all(routes);
  return records
    .map((record) => {
      const began = { source: record.startedSource.toBigInt(), target: record.startedTarget.toBigInt() };
      return provenUpTo(record) ?? began;
    })
    .reduce(earlier, await now(deps));
};

/** Passes over all that is not proven yet, one after the other. */
const prove = async (
  deps: VerifyDeps,
  store: VerificationStore,
  pairs: readonly Pair[],
  pace: Pace | undefined,
  signal: AbortSignal,
): Promise<void> => {
  for (const pair of pairs) {
    const verification = new Verification(comparedPair(pair), { ...passDeps(deps, store, pace), signal });
    if (!(await verification.isProven())) deps.onResult(await verification.pass());
  }
};

/** Until the signal or `onVerified` ends it, or other collections are carried than in the beginning. */
const followOnce = async (deps: FollowNamespacesDeps, store: VerificationStore): Promise<"ended" | "again"> => {
  const { clock, signal, onVerified, switchedOver } = deps;
  const carried = requireCollections(await readCompared(deps));
  const routes = carried.routes.map(({ name }) => name);
  const switchedNow = async (): Promise<readonly string[]> => {
    const isSwitched = await switchedOver();
    return carried.routes.filter(({ from }) => isSwitched(from)).map(({ name }) => name);
  };
  const pairs: Pair[] = [];
  for (const route of carried.routes) pairs.push(await pairOf(route, { ...deps, applied: carried.applied }));
  const from = await beginning(deps, store, routes);
  let [answer, carriedAt, structureAt] = ["again" as "ended" | "again", clock.now(), Number.NEGATIVE_INFINITY];
  await using pace = openPace(deps, carried);
  await using tasks = new TaskGroup(signal);
  const ended = new AbortController();
  tasks.run(async () => {
    const onProgress = async (): Promise<boolean> => {
      if (clock.now() - structureAt > STRUCTURE_MS) {
        structureAt = clock.now();
        await lookAtStructure(deps, carried, store);
      }
      if ((await switchedNow()).length > 0) return true;
      if (await onVerified(await verifiedUpTo(store, routes))) answer = "ended";
      if (answer === "ended" || clock.now() - carriedAt < CARRIED_MS) return answer === "ended";
      carriedAt = clock.now();
      return (
        requireCollections(await readCompared(deps))
          .routes.map(({ name }) => name)
          .join() !== routes.join()
      );
    };
    const { gone } = await new Follow(pairs, from, {
      ...{ ...deps, store, onProgress, graceMs: GRACE_MS, signal: tasks.signal },
    }).run();
    await store.forget([...gone, ...(await switchedNow())]); // services write there: nothing of it says anything
    ended.abort();
  });
  tasks.run(() =>
    prove(deps, store, pairs, pace, AbortSignal.any([tasks.signal, ended.signal])).catch((error: unknown) => {
      if (!ended.signal.aborted) throw error;
    }),
  );
  await tasks.settled();
  return answer;
};

/**
 * Verifies everything that is meant, and keeps it verified: behind the passes, every change on either side is looked at. What was
 * proven before a restart is proven still, as long as both histories reach back to it. What is switched over is left out from its
 * release on. @throws what `readCompared` throws, the signal's reason
 */
export const followNamespaces = async (deps: FollowNamespacesDeps): Promise<void> => {
  const store = new VerificationStore(deps.state);
  await deps.state.prepare();
  for (;;)
    try {
      if ((await followOnce(deps, store)) === "ended") return;
    } catch (error) {
      if (!isFerry(error) || !isHistoryLost(error)) throw error;
      const { routes } = await readCarriedCollections(deps);
      await store.forget(routes.map(({ name }) => name));
    }
};
