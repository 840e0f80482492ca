/**
 * The ceiling of a copy: raw batches, read beforehand, straight into the target with four in flight; then the indexes.
 * Says "ready" when it has read, and waits for a line. Usage: rawCopy.ts SOURCE TARGET KIND → { perSecond, cpuSeconds }
 */
import { once } from "node:events";
import { MongoClient } from "mongodb";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { collectionsOf, type Kind } from "./copied.ts";
import { DB } from "./topics.ts";

const [, , from = "", to = "", kind = "small"] = process.argv;
const BATCH_BYTES = 1 << 20;
const BATCH = 5000;
const IN_FLIGHT = 4;

type Batch = { coll: string; documents: Uint8Array[]; bytes: number };

const collections = collectionsOf(kind as Kind);
const source = await MongoClient.connect(from);
const batches: Batch[] = [];
let count = 0;
for (const { coll } of collections) {
  let batch: Batch | undefined;
  for await (const document of source.db(DB).collection(coll).find({}, { raw: true, batchSize: 10_000 })) {
    const raw = Buffer.from(document as unknown as Uint8Array);
    if (batch === undefined || batch.documents.length >= BATCH || batch.bytes > BATCH_BYTES) {
      batch = { coll, documents: [], bytes: 0 };
      batches.push(batch);
    }
    batch.documents.push(raw);
    batch.bytes += raw.length;
    count++;
  }
}
await source.close();

const target = await MongoClient.connect(to, { writeConcern: { w: 1 } });
const db = target.db(DB);
await db.command({ ping: 1 });
console.log("ready");
await once(process.stdin, "data");

let next = 0;
const [started, used] = [performance.now(), process.cpuUsage()];
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    for (let batch = batches[next++]; batch !== undefined; batch = batches[next++])
      await rawInsert(batch.documents, { db, coll: batch.coll, ordered: false });
  }),
);
await Promise.all(
  collections
    .filter(({ indexes }) => indexes.length > 0)
    .map(({ coll, indexes }) => db.collection(coll).createIndexes(indexes.map((key) => ({ key: { ...key } })))),
);
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(used);
await target.close();
process.stdin.destroy();
console.log(JSON.stringify({ perSecond: count / seconds, cpuSeconds: (user + system) / 1e6 }));
