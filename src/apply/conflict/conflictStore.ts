import { Binary } from "bson";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { ConflictRecord } from "./conflictRecords.ts";
import type { ConflictBook } from "./foreignWrites.ts";

/** Which conflicts are meant; what is left out does not limit. */
export type ConflictFilter = Readonly<{
  id?: string | undefined;
  route?: string | undefined;
  winner?: string | undefined;
  /** Identity of the documentKey. */
  identity?: string | undefined;
}>;

const queryOf = ({ id, route, winner, identity }: ConflictFilter): Document => ({
  ...(id === undefined ? {} : { _id: id }),
  ...(route === undefined ? {} : { route }),
  ...(winner === undefined ? {} : { winner }),
  ...(identity === undefined ? {} : { key: new Binary(Buffer.from(identity, "latin1")) }),
});

/** What is known of a conflict beside its versions. */
export type ConflictHead = Omit<ConflictRecord, "source" | "target">;

export type ConflictCount = Readonly<{ route: string; winner: ConflictRecord["winner"]; count: number }>;

/** The conflicts in ferry's database on the target. Every method throws FERRY_MONGO_*. */
export class ConflictStore implements ConflictBook {
  readonly #conflicts: Collection<ConflictRecord>;

  constructor(state: StateDb) {
    this.#conflicts = state.collection("conflicts");
  }

  async add(records: readonly ConflictRecord[], tx: StateTx | undefined): Promise<void> {
    await translated("storing conflicts", async () => {
      // One by one: two versions may be as large as a message may be.
      for (const { _id, ...rest } of records)
        await this.#conflicts.replaceOne({ _id }, rest, { upsert: true, ...within(tx) });
    });
  }

  /** Oldest first. */
  list(filter: ConflictFilter, limit: number): Promise<ConflictRecord[]> {
    return translated("listing conflicts", () =>
      this.#conflicts.find(queryOf(filter)).sort({ storedAt: 1, _id: 1 }).limit(limit).toArray(),
    );
  }

  /** Without the two versions, each of which may be as large as a document may be. */
  heads(filter: ConflictFilter, limit: number): Promise<ConflictHead[]> {
    return translated("listing conflicts", () =>
      this.#conflicts
        .find(queryOf(filter), { projection: { source: 0, target: 0 } })
        .sort({ storedAt: 1, _id: 1 })
        .limit(limit)
        .toArray(),
    );
  }

  /** Per route and winner. */
  counts(): Promise<readonly ConflictCount[]> {
    return translated("counting conflicts", () =>
      this.#conflicts
        .aggregate<ConflictCount>([
          { $group: { _id: { route: "$route", winner: "$winner" }, count: { $sum: 1 } } },
          { $project: { _id: 0, route: "$_id.route", winner: "$_id.winner", count: 1 } },
          { $sort: { route: 1, winner: 1 } },
        ])
        .toArray(),
    );
  }
}
