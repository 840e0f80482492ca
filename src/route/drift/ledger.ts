import { Binary, Long, Timestamp } from "bson";
import { Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { DriftBook } from "./driftBook.ts";
import type { Change, DriftKind, Verdict } from "./observer.ts";

/** A place in the stream: clusterTime of the event, and its position. */
export type Place = { at: Timestamp; partition: number; offset: Long };

/** One type of one path as one partition has it; a route's ledger is the sum of its partitions'. `_id`: `route/partition/type/path`. */
export type DriftRecord = {
  _id: string;
  route: string;
  partition: number;
  path: string;
  /** As `$type` spells it. */
  type: string;
  kind: DriftKind;
  /** Part of what was there when the route began: no news. */
  baseline: boolean;
  /** What was done with the first document that had it. */
  outcome: Verdict;
  first: Place;
  last: Place;
  count: Long;
  /** The first document's `_id`, as a document. */
  example: Binary | null;
  /** When it was first written down, by the worker's clock. */
  seenAt: Date;
};

/** An operator's word on a path, or on one of its types. `_id`: `route/type/path`, type `*` for all. */
export type DriftDecision = {
  _id: string;
  route: string;
  path: string;
  type: string | null;
  verdict: "pass" | "drop";
  at: Date;
};

const place = (at: bigint, partition: number, offset: number): Place => ({
  at: new Timestamp(at),
  partition,
  offset: Long.fromNumber(offset),
});

const ID = Buffer.from("_id");

/** `{ _id }` of a document, raw; null where it has none. */
const idOf = (doc: Uint8Array | undefined): Binary | null => {
  const cursor = new Cursor();
  if (doc === undefined || !cursor.open(doc) || !cursor.seek(ID)) return null;
  const writer = new BsonWriter(64);
  const open = writer.open();
  writer.raw(doc, cursor.nameStart - 1, cursor.valueEnd);
  writer.close(open);
  return new Binary(writer.take());
};

/** The drift ledger in ferry's database on the target. Every method throws FERRY_MONGO_*. */
export class DriftLedger implements DriftBook {
  readonly #records: Collection<DriftRecord>;
  readonly #decisions: Collection<DriftDecision>;

  constructor(state: StateDb) {
    this.#records = state.collection("drift");
    this.#decisions = state.collection("driftDecisions");
  }

  async write(
    { route, partition }: Readonly<{ route: string; partition: number }>,
    changes: readonly Change[],
    tx: StateTx | undefined,
  ): Promise<void> {
    if (changes.length === 0) return;
    const operations = changes.map(({ entry, count }) => ({
      updateOne: {
        filter: { _id: `${route}/${partition}/${entry.type}/${entry.path}` },
        update: {
          $inc: { count: Long.fromNumber(count) },
          $set: { last: place(entry.lastAt, partition, entry.lastOffset) },
          $setOnInsert: {
            route,
            partition,
            path: entry.path,
            type: entry.type,
            kind: entry.kind,
            baseline: entry.baseline,
            outcome: entry.verdict,
            first: place(entry.firstAt, partition, entry.firstOffset),
            example: idOf(entry.example),
            seenAt: new Date(),
          },
        },
        upsert: true,
      },
    }));
    await translated("writing the drift ledger", () =>
      this.#records.bulkWrite(operations, { ordered: false, ...within(tx) }),
    );
  }

  /** Everything known of a route, of some paths or of all, earliest first. */
  read(route: string | undefined, paths?: readonly string[]): Promise<DriftRecord[]> {
    const query = {
      ...(route === undefined ? {} : { route }),
      ...(paths === undefined ? {} : { path: { $in: [...paths] } }),
    };
    return translated("reading the drift ledger", () =>
      this.#records.find(query).sort({ "first.at": 1, seenAt: 1, path: 1 }).toArray(),
    );
  }

  /** How many types of fields, over all routes, were not there when their route began. */
  async newsCount(): Promise<number> {
    const [counted] = await translated("counting drift", () =>
      this.#records
        .aggregate<{ news: number }>([
          { $group: { _id: { route: "$route", path: "$path", type: "$type" }, baseline: { $max: "$baseline" } } },
          { $match: { baseline: false } },
          { $count: "news" },
        ])
        .toArray(),
    );
    return counted?.news ?? 0;
  }

  async isEmpty(route: string): Promise<boolean> {
    return (await translated("reading the drift ledger", () => this.#records.findOne({ route }))) === null;
  }

  async decide(route: string, path: string, type: string | null, verdict: DriftDecision["verdict"]): Promise<void> {
    const _id = `${route}/${type ?? "*"}/${path}`;
    await translated("noting a decision on drift", () =>
      this.#decisions.replaceOne({ _id }, { route, path, type, verdict, at: new Date() }, { upsert: true }),
    );
  }

  decisions(route: string | undefined): Promise<DriftDecision[]> {
    return translated("reading decisions on drift", () =>
      this.#decisions.find(route === undefined ? {} : { route }).toArray(),
    );
  }
}
