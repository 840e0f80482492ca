import { Decimal128, Double, Int32, Long } from "bson";
import type { Collection, Db, Document } from "mongodb";
import { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { systemClock } from "#base/flow/clock.ts";
import { between, type Random } from "#tools/workload/people.ts";

const EVERY_MS = 25;
const KEYS = 60;
/** Copied before the first kill, by more than one chunk. */
const DOCUMENTS = 1500;

/** A string that is no UTF-8: MongoDB keeps it, and no decoder gives it back. */
const bytesOf = (n: number): RawValue => {
  const text = Buffer.from([0xff, 0xfe, ...Buffer.from(String(n))]);
  const value = Buffer.alloc(text.length + 5);
  value.writeInt32LE(text.length + 1, 0);
  text.copy(value, 4);
  return new RawValue(BsonType.string, value);
};

const NUMBERS: readonly ((n: number) => unknown)[] = [
  (n) => new Int32(n),
  (n) => new Double(n),
  (n) => Long.fromNumber(n),
  (n) => Decimal128.fromString(String(n)),
];

/** `_id`s that a decoder changes, or that are one document in several spellings. */
const oddId = (n: number, random: Random): unknown => {
  switch (n % 4) {
    case 0:
      return new Map<string, unknown>([
        ["10", new Int32(n)],
        ["9", new Int32(1)],
      ]);
    case 1:
      return bytesOf(n);
    case 2:
      return Long.fromNumber(1_795_965_874_000 + n);
    default:
      return NUMBERS[between(random, 0, NUMBERS.length - 1)]?.(n);
  }
};

/** Under a collation of strength 2 these are one document in two spellings. */
const foldedId = (n: number, random: Random): string => (random() < 0.5 ? `key-${n}` : `KEY-${n}`);

/** Collections whose `_id`s are odd, written to all the time: inserted, changed, deleted, and inserted again in another spelling. */
export class OddLoad {
  readonly #db: Db;
  readonly #random: Random;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(db: Db, random: Random) {
    this.#db = db;
    this.#random = random;
  }

  async prepare(): Promise<void> {
    const folded = await this.#db.createCollection("folded", { collation: { locale: "en", strength: 2 } });
    const numbers = Array.from({ length: DOCUMENTS }, (_, n) => n);
    await this.#db
      .collection("odd")
      .insertMany(numbers.map((n) => ({ _id: oddId(n, this.#random), v: new Int32(n) })) as Document[]);
    await folded.insertMany(numbers.map((n) => ({ _id: foldedId(n, this.#random), v: new Int32(n) })) as Document[]);
  }

  start(): void {
    this.#running = this.#run();
    this.#running.catch(() => undefined); // reported by stop()
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const [odd, folded] = [this.#db.collection("odd"), this.#db.collection("folded")];
    while (!this.#ending.signal.aborted) {
      const n = between(this.#random, 0, KEYS);
      await this.#change(odd, oddId(n, this.#random));
      await this.#change(folded, foldedId(n, this.#random));
      await systemClock.sleep(EVERY_MS, this.#ending.signal).catch(() => undefined); // woken by the end
    }
  }

  async #change(collection: Collection, id: unknown): Promise<void> {
    const filter = { _id: id } as Document;
    if (this.#random() < 0.4) await collection.deleteOne(filter);
    else await collection.updateOne(filter, { $set: { v: between(this.#random, 0, 1e6) } }, { upsert: true });
  }
}
