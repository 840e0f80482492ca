import type { LaneMove } from "#apply/lanes/laneTransaction.ts";
import type { Entry } from "#apply/plan/entry.ts";
import type { WriteOps } from "#base/flow/types.ts";
import type { ClientSession } from "#io/mongo/connect.ts";
import { isRejected, type MongoSink } from "#sink/mongo/mongoSink.ts";
import type { DriftGate } from "./driftGate.ts";
import { reasonOf } from "./laneLetters.ts";
import type { LaneMoves } from "./laneMoves.ts";
import type { LanePlanner } from "./lanePlanner.ts";

export type RepairWriteDeps = Readonly<{
  moves: LaneMoves;
  planner: LanePlanner;
  sink: MongoSink;
  drift: DriftGate | undefined;
  isHeld: (key: Uint8Array) => boolean;
}>;

export type Did = "wrote" | "deleted" | "left";

const didOf = ({ inserts, updates, deletes }: WriteOps): Did => {
  if (inserts.length + updates.length > 0) return "wrote";
  return deletes.length > 0 ? "deleted" : "left";
};

class Refused extends Error {}

/**
 * Writes one document as its lane would, in a transaction that leaves the lane where it stands and out of its books.
 * @param within called in the transaction, after the write
 * @returns why the target, or a policy, refuses it. @throws FERRY_FENCED, FERRY_MONGO_*, what `within` throws
 */
export const repairWrite = async (
  { moves, planner, sink, drift, isHeld }: RepairWriteDeps,
  entry: Entry,
  within: (did: Did, session: ClientSession | undefined) => Promise<void>,
): Promise<string | undefined> => {
  if (entry.event !== undefined && "key" in entry.event && isHeld(entry.event.key))
    return "an earlier event of it waits in the dead letters";
  drift?.see(entry, true);
  const shaped = await planner.passed([entry]);
  try {
    await moves.move(shaped, Number.POSITIVE_INFINITY, async (entries) => {
      const { ops, dead } = await planner.plan(entries, "replace", () => false);
      const [refused] = dead;
      if (refused !== undefined) throw new Refused(refused.reason.detail);
      const move: LaneMove = moves.standing();
      return {
        letters: [],
        move,
        body: async (session) => {
          await sink.write(ops, session);
          await within(didOf(ops), session);
        },
      };
    });
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    if (!isRejected(error)) throw error;
    return (await reasonOf(error, sink)).detail;
  }
};
