import assert from "node:assert/strict";
import { BSON, type Document, type MongoClient } from "mongodb";
import { formatNamespace } from "#base/flow/types.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";

/** Names and values are compared by their text alone: of invalid UTF-8 what can be read. */
const EXACT = { promoteValues: false, enableUtf8Validation: false } as const;

/** A profiled operation by which a range's cursor is opened. */
const BEGINS_A_RANGE: Document = { op: "query", "command.hint._id": 1 };

/** The end of a range names it: a read that resumes in its middle begins elsewhere, and ends there. */
const END = "its end";

const spell = (_id: unknown): string => BSON.EJSON.stringify({ _id }, { relaxed: false });

const endOf = ({ to }: RangeRecord): string => (to === null ? END : spell(BSON.deserialize(to.buffer, EXACT)["_id"]));

type Finished = Readonly<{ topic: string; end: string; documents: number; at: Date }>;

/** Ranges that were noted as done when a process was killed: the source's profile tells whether any of them is read again. */
export class FinishedRanges {
  readonly #source: MongoClient;
  readonly #ranges: ReturnType<typeof rangesOf>;
  readonly #db: string;
  readonly #finished = new Map<string, Finished>();

  constructor(source: MongoClient, target: MongoClient, names: Readonly<{ db: string; stateDb: string }>) {
    this.#source = source;
    this.#ranges = rangesOf(target, names.stateDb);
    this.#db = names.db;
  }

  get count(): number {
    return this.#finished.size;
  }

  /** From here on the source writes down each read by which a range is begun. */
  async watch(): Promise<void> {
    await this.#source.db(this.#db).command({ profile: 1, filter: BEGINS_A_RANGE });
  }

  /** After a kill: what is done now must stay done. */
  async note(): Promise<void> {
    for (const range of await this.#ranges.find({ done: true }).toArray())
      if (!this.#finished.has(range._id))
        this.#finished.set(range._id, {
          topic: range.topic,
          end: endOf(range),
          documents: Number(range.documents),
          at: new Date(),
        });
  }

  /** When the copy has ended: all ranges are done, and those that were done at a kill have not been read since. */
  async check(): Promise<void> {
    await this.#source.db(this.#db).command({ profile: 0, filter: "unset" });
    assert.equal(await this.#ranges.countDocuments({ done: false }), 0, "ranges that are left");
    // Asked for once more: between the end of the filter and that of the profile any operation is written down.
    const reads = await this.#source.db(this.#db).collection("system.profile").find(BEGINS_A_RANGE, EXACT).toArray();
    const begun = reads.map(({ ns, ts, command }) => {
      const max = (command as Document)["max"] as Document | undefined;
      return { topic: String(ns), end: max === undefined ? END : spell(max["_id"]), ts: ts as Date };
    });
    assert.ok(begun.length > 0, "the source's profile shows how ranges are read");
    for (const [_id, { topic, end, documents, at }] of this.#finished) {
      const again = begun.filter((read) => read.topic === topic && read.end === end && read.ts > at);
      assert.equal(again.length, 0, `${_id} was finished, and is read again`);
      const now = await this.#ranges.findOne({ _id });
      assert.equal(Number(now?.documents), documents, `documents of ${_id}, which was finished`);
    }
  }
}

const rangesOf = (target: MongoClient, stateDb: string) => target.db(stateDb).collection<RangeRecord>("copyRanges");

export const topicOf = (db: string, coll: string): string => formatNamespace({ db, coll });
