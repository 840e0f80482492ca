import assert from "node:assert/strict";
import type { Document, MongoClient, Timestamp } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";

export const MARKERS = "markers";

const EVERY_MS = 15;

/**
 * Numbered documents, inserted into the source one after the other while everything else happens: what arrives of them must be
 * all of 1, 2, 3 … up to wherever ferry says that it stands. A copy that was cut short, a stream that was opened too late, or a
 * position that moved ahead of its data leaves a hole.
 */
export class Markers {
  readonly #db: ReturnType<MongoClient["db"]>;
  readonly #ending = new AbortController();
  /** When the n-th one was written, by the source's own clock. */
  readonly #at: bigint[] = [];
  #running: Promise<void> | undefined;

  constructor(source: MongoClient, db: string) {
    this.#db = source.db(db);
  }

  get count(): number {
    return this.#at.length;
  }

  start(): void {
    this.#running = this.#run();
    this.#running.catch(() => undefined); // reported by stop()
  }

  /** Each also goes into a capped collection, whose order finalize has to keep. */
  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const n = this.#at.length + 1;
      await this.#db.collection<Document>("events").insertOne({ _id: n } as Document);
      const { operationTime } = await this.#db.command({ insert: MARKERS, documents: [{ _id: n }] });
      this.#at.push((operationTime as Timestamp).toBigInt());
      await systemClock.sleep(EVERY_MS, this.#ending.signal).catch(() => undefined); // woken by the end
    }
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  /** Waits until one that is written from now on is on the target. */
  async arrive(target: MongoClient): Promise<void> {
    const next = this.count + 1;
    const there = target.db(this.#db.databaseName).collection<{ _id: number }>(MARKERS);
    await waitFor(
      async () => ((await there.findOne({ _id: next })) === null ? { seen: "not there" } : { done: undefined }),
      {
        what: `marker ${next} on the target`,
        clock: systemClock,
        timeoutMs: 60_000,
      },
    );
  }

  /** Everything before the saved position is on the target, without a hole. Returns how many that is. */
  async checkUpTo(target: MongoClient, token: ResumeToken): Promise<number> {
    const position = tokenTime(token);
    const passed = this.#at.filter((at) => at < position).length;
    const there = await target
      .db(this.#db.databaseName)
      .collection<{ _id: number }>(MARKERS)
      .countDocuments({ _id: { $lte: passed } });
    assert.equal(there, passed, `markers before the saved position ${token._data.slice(0, 18)}`);
    return passed;
  }

  /** All of them are on the target, and none else. */
  async checkAll(target: MongoClient): Promise<void> {
    const found = await target
      .db(this.#db.databaseName)
      .collection<{ _id: number }>(MARKERS)
      .find()
      .sort({ _id: 1 })
      .toArray();
    const hole = found.findIndex(({ _id }, i) => _id !== i + 1);
    assert.equal(hole, -1, `markers on the target go on with ${found[hole]?._id} where ${hole + 1} belongs`);
    assert.equal(found.length, this.count, "markers on the target");
  }
}
