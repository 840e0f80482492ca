import assert from "node:assert/strict";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import { shaper } from "#apply/pipeline/shape.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { planBatch } from "#apply/plan/plan.ts";
import type { PatchEvent } from "#base/flow/types.ts";
import { txOf } from "#io/mongo/session.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import type { Random } from "#tools/workload/people.ts";
import { compare } from "../harness/compare.ts";
import { eventsSince, randomUpdate, randomValue, updateNames, withImages } from "../harness/deltas.ts";
import { eachSeed } from "../harness/load.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";

const round = async (random: Random, client: MongoClient): Promise<void> => {
  const db = client.db("patch");
  const source = await withImages(db, "source");
  const ns = { db: "patch", coll: "target" };
  const sink = new MongoSink(client, ns);
  await sink.prepare();
  const documents = Array.from({ length: 100 }, (_, _id) => {
    const fields = updateNames.filter(() => random() < 0.6).map((name) => [name, randomValue(random)] as const);
    return { _id, ...Object.fromEntries(fields) } as Document;
  });
  await source.insertMany(documents);
  await db.collection("target").insertMany(documents);
  const { operationTime } = await db.command({ ping: 1 });
  let refused = 0;
  for (let n = 0; n < 3000; n++) {
    const filter = { _id: Math.floor(random() * 100) } as Document;
    await source.updateOne(filter, randomUpdate(random)).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
      refused++;
    });
  }
  await source.insertOne({ _id: "the last one" } as Document);
  const events = await eventsSince(source, operationTime, "the last one", true);
  await source.deleteOne({ _id: "the last one" } as Document);

  const decode = createDecoder();
  const entries = events.map(({ value }, offset): Entry => {
    const record = { key: null, value, offset, timestampMs: offset };
    const { event } = decode(record);
    return { record, event, dead: undefined };
  });
  const patches = entries.filter(({ event }) => event?.op === "patch").length;
  const completed = ({ record, event }: Entry): Entry => {
    assert.equal(event?.op, "patch");
    const doc = events[record.offset]?.image as Uint8Array;
    return { record, event: { ...(event as PatchEvent), op: "write", doc, fresh: false }, dead: undefined };
  };
  let unclear = 0;
  for (let from = 0; from < entries.length; ) {
    const batch = entries.slice(from, from + 1 + Math.floor(random() * 60));
    from += batch.length;
    // What is set aside is completed and planned again, as a worker with a source does it.
    for (;;) {
      const plan = planBatch(batch, { writes: "insert", isHeld: () => false });
      const [first] = plan.dead;
      if (first === undefined) {
        await client.withSession((session) => session.withTransaction(() => sink.write(plan.ops, txOf(session))));
        break;
      }
      unclear++;
      batch[batch.indexOf(first.entry)] = completed(first.entry);
    }
  }
  const found = await compare(source, db.collection("target"));
  console.log(
    `${patches} deltas and ${entries.length - patches} whole documents, ${refused} refused, ${unclear} unclear`,
  );
  assert.deepEqual(found.different, []);
  assert.equal(found.wrong, 0);
  assert.ok(patches > 1000 && unclear < patches / 2);
  await db.dropDatabase();
};

test("deltas alone, applied in order, leave the source's documents; what they cannot say is set aside, not guessed", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  await eachSeed((random) => round(random, client));
});

test("a path that names two fields is set aside, plain and filtered, wherever the server does not say which it is", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const db = client.db("literal");
  const source = await withImages(db, "source");
  const setField = (field: string, value: unknown): Document[] => [
    { $replaceWith: { $setField: { field, input: "$$ROOT", value } } },
  ];
  const updates: (Document | Document[])[] = [
    setField("a.b", 7),
    { $set: { "a.b": 9 } },
    setField("a.b", { $literal: "$$REMOVE" }),
    [{ $set: { list: { $slice: ["$list", 1] } } }],
    { $set: { "0": 1 } },
  ];
  await source.insertOne({ _id: 1 as never, a: { b: 2 }, list: [1, 2] });
  const { operationTime } = await db.command({ ping: 1 });
  for (const update of updates) await source.updateOne({ _id: 1 as never }, update);
  await source.insertOne({ _id: "last" as never });
  const events = (await eventsSince(source, operationTime, "last", false)).slice(-updates.length);
  const filter = shaper(new RouteFilter({ fields: { deny: ["secret"] } }));
  for (const shape of [(entry: Entry): Entry => entry, filter]) {
    const reasons = events.map(({ value }) => {
      const record = { key: null, value, offset: 0, timestampMs: 0 };
      const entry = shape({ record, event: createDecoder()(record).event, dead: undefined });
      return planBatch([entry], { writes: "replace", isHeld: () => false }).dead[0]?.reason;
    });
    assert.deepEqual(
      reasons.map((reason) => reason?.code),
      ["FERRY_APPLY_DELTA", "FERRY_APPLY_DELTA", "FERRY_APPLY_DELTA", undefined, undefined],
    );
    assert.match(reasons[0]?.detail ?? "", /a path has a dot/);
  }
  await db.dropDatabase();
});
