import assert from "node:assert/strict";
import { test } from "node:test";
import { type Collection, type Document, Double, Int32, Long, MongoClient } from "mongodb";
import type { Entry } from "#apply/entry.ts";
import { planBatch } from "#apply/plan.ts";
import { MongoSink } from "#sink/mongoSink.ts";
import { createDecoder } from "#wire/decode.ts";
import { compare } from "../harness/compare.ts";
import { pick, type Random, randomOf, testSeed } from "../harness/load.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";

const names = ["z", "m", "a", "k1", "k10", "k2", "o", "list"] as const;

const value = (random: Random): unknown =>
  pick<() => unknown>(random, [
    () => new Int32(Math.floor(random() * 9)),
    () => new Double(Math.floor(random() * 9)),
    () => Long.fromNumber(Math.floor(random() * 9)),
    () => "text",
    () => [1, 2, 3, 4, 5].slice(0, Math.floor(random() * 6)),
    () => ({ z: 1, a: { y: 2, b: 3 }, "0": "digit" }),
    () => [{ n: 1 }, { n: 2, list: [1, 2] }],
    () => null,
  ])();

/** Whatever an application may say; what the server refuses changes nothing and makes no event. */
const update = (random: Random): Document | Document[] => {
  const name = (): string => pick(random, names);
  const path = (): string =>
    pick(random, [name(), `o.${name()}`, `list.${Math.floor(random() * 5)}`, "o.a.b", "list.1.n", "o.0"]);
  return pick<() => Document | Document[]>(random, [
    () => ({ $set: { [path()]: value(random), [name()]: value(random), [name()]: value(random) } }),
    () => ({ $set: { z9: value(random), b9: value(random), m9: value(random) } }),
    () => ({ $unset: { [path()]: "", z9: "", [name()]: "" } }),
    () => ({ $set: { [path()]: value(random) }, $unset: { [`x${name()}`]: "", m9: "" } }),
    () => ({ $push: { list: { $each: [1, { n: 3 }], $slice: pick(random, [3, -3, 10]) } } }),
    () => ({ $pop: { list: pick(random, [1, -1]) } }),
    () => ({ $pull: { list: 1 } }),
    () => ({ $inc: { [path()]: 1 } }),
    () => ({ $rename: { a: "renamed", z: "o.moved" } }),
    () => [{ $set: { [name()]: "$m", list: { $slice: ["$list", 2] } } }],
    () => [{ $unset: ["o.a", "z"] }, { $set: { o: { $mergeObjects: ["$o", { q: 1 }] } } }],
  ])();
};

/** The collection's events since `from`, raw, until `count` of them are there. */
const eventsSince = async (source: Collection, from: unknown, last: unknown): Promise<Buffer[]> => {
  const stream = source.aggregate([{ $changeStream: { startAtOperationTime: from } }], { raw: true } as object);
  const events: Buffer[] = [];
  const marker = Buffer.from(String(last));
  for await (const event of stream as unknown as AsyncIterable<Buffer>) {
    if (event.includes(marker)) break;
    events.push(Buffer.from(event));
  }
  return events;
};

test("deltas alone, applied in order, leave the source's documents; what they cannot say is set aside, not guessed", async () => {
  const random = randomOf(testSeed());
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const source = client.db("patch").collection("source");
  const ns = { db: "patch", coll: "target" };
  const sink = new MongoSink(client, ns);
  await sink.prepare();
  const documents = Array.from({ length: 100 }, (_, _id) => {
    const fields = names.filter(() => random() < 0.6).map((name) => [name, value(random)] as const);
    return { _id, ...Object.fromEntries(fields) } as Document;
  });
  await source.insertMany(documents);
  await client.db("patch").collection("target").insertMany(documents);
  const { operationTime } = await client.db("patch").command({ ping: 1 });
  let refused = 0;
  for (let n = 0; n < 3000; n++) {
    const filter = { _id: Math.floor(random() * 100) } as Document;
    await source.updateOne(filter, update(random)).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
      refused++;
    });
  }
  await source.insertOne({ _id: "the last one" } as Document);
  const events = await eventsSince(source, operationTime, "the last one");
  await source.deleteOne({ _id: "the last one" } as Document);

  const decode = createDecoder();
  const entries = events.map((value, offset): Entry => {
    const record = { key: null, value, offset, timestampMs: offset };
    const { event } = decode(record);
    return { record, event, dead: undefined };
  });
  const patches = entries.filter(({ event }) => event?.op === "patch").length;
  let dead = 0;
  for (let from = 0; from < entries.length; ) {
    const size = 1 + Math.floor(random() * 60);
    const plan = planBatch(entries.slice(from, from + size), { insertFirst: true, isHeld: () => false });
    await client.withSession((session) => session.withTransaction(() => sink.write(plan.ops, session)));
    dead += plan.dead.length;
    from += size;
  }
  const found = await compare(source, client.db("patch").collection("target"));
  console.log(
    `${patches} deltas and ${entries.length - patches} whole documents, ${refused} refused, ${dead} set aside`,
  );
  assert.equal(dead, 0, "nothing here has a name that modifiers cannot say");
  assert.deepEqual(found.different, []);
  assert.equal(found.wrong, 0);
  assert.ok(patches > 1000);
});
