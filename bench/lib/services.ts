/**
 * Services of the target, in a process of their own: some clients that write one small document each, majority, at a steady
 * pace, and read it back. Usage: services.ts URI; prints a line of JSON with the last second's latencies (ms) each second, until killed.
 */
import { MongoClient } from "mongodb";

const CLIENTS = 16;
const EVERY_MS = 40;

const [, , uri = ""] = process.argv;
const client = await MongoClient.connect(uri, { writeConcern: { w: "majority" } });
const own = client.db("services").collection<{ _id: number; n: number }>("carts");
await own.bulkWrite(
  Array.from({ length: CLIENTS }, (_, _id) => ({
    updateOne: { filter: { _id }, update: { $set: { n: 0 } }, upsert: true },
  })),
);
let latencies: number[] = [];
setInterval(() => {
  console.log(JSON.stringify(latencies));
  latencies = [];
}, 1000);

const serve = async (_id: number): Promise<void> => {
  for (;;) {
    const startedAt = performance.now();
    await own.updateOne({ _id }, { $inc: { n: 1 } });
    await own.findOne({ _id });
    const ms = performance.now() - startedAt;
    latencies.push(ms);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - ms)));
  }
};
await Promise.all(Array.from({ length: CLIENTS }, (_, i) => serve(i)));
