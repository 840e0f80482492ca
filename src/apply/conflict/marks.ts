import { Binary, Long, type Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { fieldKey, type Mark, type MarkId, type Settled } from "./conflictRecords.ts";
import type { ForeignWrite, FoundMarks, MarkBook } from "./foreignWrites.ts";

/** Changes beyond this many fields count as a change of the whole document. */
const MAX_FIELDS = 64;

const binaryOf = (identity: string): Binary => new Binary(Buffer.from(identity, "latin1"));

/** One update per document for a batch of writes. */
const upserts = (route: string, writes: readonly ForeignWrite[]): Document[] => {
  const byKey = new Map<string, { documentKey: Uint8Array; max: Record<string, Timestamp> }>();
  for (const { documentKey, at, fields } of writes) {
    const identity = identityOf(documentKey);
    const known = byKey.get(identity) ?? { documentKey, max: {} };
    byKey.set(identity, known);
    known.max["at"] = at; // in order: the last one is the newest
    if (fields === undefined || fields.length > MAX_FIELDS) known.max["whole"] = at;
    else for (const name of fields) known.max[`fields.${fieldKey(name)}`] = at;
  }
  return [...byKey].map(([identity, { documentKey, max }]) => ({
    updateOne: {
      filter: { _id: { route, key: binaryOf(identity) } },
      update: { $max: max, $setOnInsert: { documentKey: new Binary(documentKey) } },
      upsert: true,
    },
  }));
};

/**
 * Which documents of a route other clients wrote (`touched`), and how far that has been dealt with (`settled`). The two are
 * apart because many watchers write the one, and only a document's lane the other: they never clash.
 * Every method throws FERRY_MONGO_*.
 */
export class MarkStore implements MarkBook {
  readonly #touched: Collection<Mark>;
  readonly #settled: Collection<Settled>;

  constructor(state: StateDb) {
    this.#touched = state.collection("touched");
    this.#settled = state.collection("settled");
  }

  async note(route: string, writes: readonly ForeignWrite[]): Promise<void> {
    if (writes.length === 0) return;
    await translated("noting writes of others", () =>
      this.#touched.bulkWrite(upserts(route, writes) as never[], { ordered: false }),
    );
  }

  /** Notes documents that are there before the route begins. @param seed the seeding's number */
  async seed(route: string, documentKeys: readonly Uint8Array[], seed: number): Promise<void> {
    const operations = documentKeys.map((documentKey) => ({
      updateOne: {
        filter: { _id: { route, key: binaryOf(identityOf(documentKey)) } },
        update: { $set: { seed: Long.fromNumber(seed) }, $setOnInsert: { documentKey: new Binary(documentKey) } },
        upsert: true,
      },
    }));
    if (operations.length === 0) return;
    await translated("noting documents that are there already", () =>
      this.#touched.bulkWrite(operations, { ordered: false }),
    );
  }

  async *keys(route: string): AsyncGenerator<Uint8Array> {
    const range = { _id: { $gte: { route, key: new Binary(Buffer.alloc(0)) }, $lt: { route: `${route}\0` } } };
    const found = this.#touched.find(range as never, { projection: { documentKey: 1 }, batchSize: 10_000 });
    try {
      for await (const { documentKey } of found) yield documentKey.buffer;
    } finally {
      await found.close();
    }
  }

  async read(route: string, identities: readonly string[]): Promise<FoundMarks> {
    const ids: MarkId[] = identities.map((identity) => ({ route, key: binaryOf(identity) }));
    const [marks, settled] = await translated("reading marks", () =>
      Promise.all([
        this.#touched.find({ _id: { $in: ids } }).toArray(),
        this.#settled.find({ _id: { $in: ids } }).toArray(),
      ]),
    );
    const done = new Map(settled.map(({ _id, at }) => [textOf(_id), at]));
    return new Map(marks.map((mark) => [textOf(mark._id), { mark, settled: done.get(textOf(mark._id)) }]));
  }

  async settle(route: string, identities: readonly string[], at: Timestamp, tx: StateTx | undefined): Promise<void> {
    if (identities.length === 0) return;
    const operations = identities.map((identity) => ({
      updateOne: {
        filter: { _id: { route, key: binaryOf(identity) } },
        update: { $set: { at } },
        upsert: true,
      },
    }));
    await translated("settling marks", () => this.#settled.bulkWrite(operations, { ordered: false, ...within(tx) }));
  }
}

const textOf = ({ key }: MarkId): string => Buffer.from(key.buffer).toString("latin1");
