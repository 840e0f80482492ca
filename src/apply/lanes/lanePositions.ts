import { Long, Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { imbalance } from "#base/flow/types.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { LaneState } from "./claims.ts";
import type { LaneMove, LanePositions } from "./laneCommit.ts";
import type { LaneRecord } from "./laneRecords.ts";

/** Is a lane that stands like this before a move (true), or at its end (false)? @throws FERRY_FENCED */
export const isBeforeMove = (
  lane: LaneState,
  move: LaneMove,
  record: Readonly<{ epoch: number; offset: number }> | undefined,
): boolean => {
  if (record?.epoch !== lane.epoch)
    throw new FerryError(
      "FERRY_FENCED",
      `lane ${lane.id}: epoch ${lane.epoch} here, ${record === undefined ? "no record" : record.epoch} on the target`,
    );
  if (record.offset === lane.offset) return true;
  if (record.offset === move.offset) return false;
  throw new FerryError(
    "FERRY_FENCED",
    `lane ${lane.id} is at offset ${record.offset}, neither at ${lane.offset} nor at ${move.offset}`,
  );
};

/** @throws FERRY_BUG: events were lost, or counted twice */
export const requireBalance = ({ id }: LaneState, { counts }: LaneMove): void => {
  if (imbalance(counts) !== 0)
    throw new FerryError("FERRY_BUG", `lane ${id}: a batch that does not balance: ${JSON.stringify(counts)}`);
};

/** The lane records in ferry's database. Every method throws FERRY_MONGO_*. */
export class LanePositionStore implements LanePositions {
  readonly #lanes: Collection<LaneRecord>;

  constructor(state: StateDb) {
    this.#lanes = state.collection("lanes");
  }

  async move(lane: LaneState, move: LaneMove, tx: StateTx | undefined): Promise<boolean> {
    requireBalance(lane, move);
    const { counts, filteredBy } = move;
    const reasons = Object.entries(filteredBy).map(([reason, n]) => [`filteredBy.${reason}`, Long.fromNumber(n)]);
    const { matchedCount } = await translated(`moving lane ${lane.id}`, () =>
      this.#lanes.updateOne(
        { _id: lane.id, epoch: Long.fromNumber(lane.epoch), offset: Long.fromNumber(lane.offset) },
        {
          $set: { offset: Long.fromNumber(move.offset), at: new Timestamp(move.at), logTime: new Date(move.logTimeMs) },
          $inc: {
            "counts.received": Long.fromNumber(counts.received),
            "counts.applied": Long.fromNumber(counts.applied),
            "counts.superseded": Long.fromNumber(counts.superseded),
            "counts.filtered": Long.fromNumber(counts.filtered),
            "counts.dead": Long.fromNumber(counts.dead),
            ...Object.fromEntries(reasons),
          },
          $currentDate: { updatedAt: true },
        },
        within(tx),
      ),
    );
    if (matchedCount === 1) return true;
    if (await this.#isBefore(lane, move, tx))
      throw new FerryError("FERRY_MONGO_TRANSIENT", `lane ${lane.id} changed while it was looked at`);
    return false;
  }

  isBefore(lane: LaneState, move: LaneMove): Promise<boolean> {
    return this.#isBefore(lane, move, undefined);
  }

  async #isBefore(lane: LaneState, move: LaneMove, tx: StateTx | undefined): Promise<boolean> {
    const record = await translated(`reading lane ${lane.id}`, () => this.#lanes.findOne({ _id: lane.id }, within(tx)));
    const place = record === null ? undefined : { epoch: Number(record.epoch), offset: Number(record.offset) };
    return isBeforeMove(lane, move, place);
  }
}
