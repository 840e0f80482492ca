import { type Binary, ObjectId } from "bson";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/**
 * A document that is to be written again, in `ferry.repairs`: asked for by an operator, carried out by the owner of one of its
 * route's partitions. Records stay: they are the account of what was changed beside the stream.
 */
export type RepairRecord = {
  _id: ObjectId;
  route: string;
  partition: number;
  /** Raw `{ _id }`. */
  key: Binary;
  /** How the target's document was wrong, and where. */
  kind: "missing" | "extra" | "different";
  how?: string;
  path?: string;
  /** asked: to be done; done: the source's document was written, or the target's removed; refused: `reason` says why. */
  state: "asked" | "done" | "refused";
  reason?: string;
  /** The target's document before, raw; null where there was none, or it is larger than is kept. */
  before?: Binary | null;
  did?: "wrote" | "deleted" | "left";
  askedAt: Date;
  doneAt?: Date;
};

export type NewRepair = Omit<RepairRecord, "_id" | "state" | "askedAt">;

export type RepairOutcome = Required<Pick<RepairRecord, "state">> & Pick<RepairRecord, "reason" | "before" | "did">;

/** Repairs that a partition's owner reads at a time. */
const AT_ONCE = 1000;

/** Every method throws FERRY_MONGO_*. */
export class RepairStore {
  readonly #repairs: Collection<RepairRecord>;

  constructor(state: StateDb) {
    this.#repairs = state.collection("repairs");
  }

  /** @returns their ids, in the order given */
  async ask(repairs: readonly NewRepair[]): Promise<readonly ObjectId[]> {
    if (repairs.length === 0) return [];
    const askedAt = new Date();
    const records = repairs.map((repair) => ({ _id: new ObjectId(), ...repair, state: "asked" as const, askedAt }));
    await translated("asking for repairs", () => this.#repairs.insertMany(records));
    return records.map(({ _id }) => _id);
  }

  /** Those that wait for the owner of a partition, oldest first. */
  due(route: string, partition: number): Promise<RepairRecord[]> {
    return translated("reading repairs", () =>
      this.#repairs.find({ state: "asked", route, partition }).sort({ _id: 1 }).limit(AT_ONCE).toArray(),
    );
  }

  of(ids: readonly ObjectId[]): Promise<RepairRecord[]> {
    return translated("reading repairs", () => this.#repairs.find({ _id: { $in: [...ids] } }).toArray());
  }

  /** Within the transaction that does it, where there is one. */
  async settle(_id: ObjectId, outcome: RepairOutcome, tx: StateTx | undefined): Promise<void> {
    const fields = { ...outcome, doneAt: new Date() };
    await translated("noting a repair", () => this.#repairs.updateOne({ _id }, { $set: fields }, within(tx)));
  }
}
