import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import type { StructureDifference } from "./compareStructure.ts";
import { type StructureVerifyDeps, verifyStructure } from "./verifyStructure.ts";

export type SettleDeps = StructureVerifyDeps &
  Readonly<{
    /** Everything that the source did up to this clusterTime is on the target. */
    applied: () => Promise<bigint | undefined>;
    clock: Clock;
    signal: AbortSignal;
  }>;

const LOOK_MS = 200;
/** A change of the structure that is not followed within this time is taken for one that never is, ms. */
const PATIENCE_MS = 20_000;

const spelled = ({ ns, index, kind, options }: StructureDifference): string =>
  JSON.stringify([ns, index, kind, options]);

/**
 * The same as `verifyStructure`, but for changes of the source that are on their way: what differs is looked at again when
 * everything that the source had done by then is on the target. @throws FERRY_MONGO_*, the signal's reason
 */
export const settledStructure = async (deps: SettleDeps): Promise<readonly StructureDifference[]> => {
  const { source, applied, clock, signal } = deps;
  const first = await verifyStructure(deps);
  if (first.every(({ deferred }) => deferred)) return first;
  const seenAt = (await clusterTime(source)).toBigInt();
  const deadline = clock.now() + PATIENCE_MS;
  await lookUntil(
    LOOK_MS,
    { clock, signal },
    async () => ((await applied()) ?? 0n) >= seenAt || clock.now() >= deadline,
  );
  const known = new Set(first.map(spelled));
  return (await verifyStructure(deps)).filter((found) => found.deferred || known.has(spelled(found)));
};
