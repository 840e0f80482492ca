import type { Clock } from "#base/flow/clock.ts";
import { changedBetween } from "./changedKeys.ts";
import { clusterTimeOf, readVersions } from "./reads.ts";
import { Recheck, type Versions } from "./recheck.ts";
import type { Judged } from "./verification.ts";

export type PairRecheckDeps = Readonly<{ clock: Clock; signal: AbortSignal; graceMs: number }>;

/** Looks at both sides of one route. */
export const pairRecheck = (pair: Judged, { clock, signal, graceMs }: PairRecheckDeps): Recheck => {
  const { source, readTarget, applied, expect, onto, learn, excused } = pair;
  let sourceAt = 0n;
  const readSource = async (keys: readonly Uint8Array[], notBefore: bigint): Promise<Versions> => {
    const documents = await readVersions(source, keys, notBefore > sourceAt ? notBefore : sourceAt);
    // Asked for behind the read: everything that it showed was committed by then.
    const at = await clusterTimeOf(source.client);
    if (at > sourceAt) sourceAt = at;
    return { documents, at };
  };
  return new Recheck({
    ...{ readSource, readTarget, applied, expect, onto, learn, excused, graceMs },
    changedSince: (keys, at) => changedBetween(source, keys, at, sourceAt, signal),
    now: () => clock.now(),
  });
};
