/**
 * The ceiling of a copy: raw batches, read beforehand, straight into the target with four in flight.
 * Usage: rawCopy.ts SOURCE TARGET COLLECTION → { perSecond }
 */
import { MongoClient } from "mongodb";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { DB } from "./topics.ts";

const [, , from = "", to = "", coll = ""] = process.argv;
const BATCH_BYTES = 1 << 20;
const BATCH = 5000;
const IN_FLIGHT = 4;

const source = await MongoClient.connect(from);
const batches: Uint8Array[][] = [];
let [bytes, count] = [0, 0];
for await (const document of source.db(DB).collection(coll).find({}, { raw: true, batchSize: 10_000 })) {
  const raw = Buffer.from(document as unknown as Uint8Array);
  let batch = batches.at(-1);
  if (batch === undefined || batch.length >= BATCH || bytes > BATCH_BYTES) {
    batch = [];
    bytes = 0;
    batches.push(batch);
  }
  batch.push(raw);
  bytes += raw.length;
  count++;
}
await source.close();

const target = await MongoClient.connect(to, { writeConcern: { w: 1 } });
const db = target.db(DB);
let next = 0;
const started = performance.now();
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    for (let batch = batches[next++]; batch !== undefined; batch = batches[next++])
      await rawInsert(batch, { db, coll, ordered: false });
  }),
);
const seconds = (performance.now() - started) / 1000;
await target.close();
console.log(JSON.stringify({ perSecond: count / seconds }));
