import type { Entry } from "#apply/plan/entry.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { TargetOp } from "#base/flow/types.ts";
import { isOfDocument, type Sink } from "#sink/sink.ts";
import { reasonOf } from "./laneLetters.ts";
import type { LaneSteps } from "./laneSteps.ts";

export type RepairWriteDeps = Readonly<{ steps: LaneSteps; sink: Sink; isHeld: (key: Uint8Array) => boolean }>;

export type Did = "wrote" | "deleted" | "left";

const didOf = (ops: readonly TargetOp[]): Did => {
  if (ops.length === 0) return "left";
  return ops.every(({ op }) => op === "delete") ? "deleted" : "wrote";
};

class RefusedRepair extends Error {}

/**
 * Writes one document as its lane would, in a transaction that leaves the lane where it stands and out of its books.
 * @param within called in the transaction, after the write
 * @returns why the target, or a policy, refuses it. @throws FERRY_FENCED, FERRY_MONGO_*, what `within` throws
 */
export const repairWrite = async (
  { steps, sink, isHeld }: RepairWriteDeps,
  entry: Entry,
  within: (did: Did, tx: StateTx | undefined) => Promise<void>,
): Promise<string | undefined> => {
  if (entry.event !== undefined && "key" in entry.event && isHeld(entry.event.key))
    return "an earlier event of it waits in the dead letters";
  const ready = await steps.readyAgain(entry);
  try {
    await steps.commit(ready, Number.POSITIVE_INFINITY, async (entries) => {
      const { ops, dead } = await steps.plan(entries, "replace", () => false);
      const [refused] = dead;
      if (refused !== undefined) throw new RefusedRepair(refused.reason.detail);
      return { ops, move: steps.standing(), note: (tx) => within(didOf(ops), tx) };
    });
    return undefined;
  } catch (error) {
    if (error instanceof RefusedRepair) return error.message;
    if (!isFerry(error) || !isOfDocument(sink.refusal(error))) throw error;
    return (await reasonOf(error, sink)).detail;
  }
};
