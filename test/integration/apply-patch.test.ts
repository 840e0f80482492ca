import assert from "node:assert/strict";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import type { Entry } from "#apply/entry.ts";
import { planBatch } from "#apply/plan.ts";
import { seeded } from "#run/genData.ts";
import { MongoSink } from "#sink/mongoSink.ts";
import { createDecoder } from "#wire/decode.ts";
import { compare } from "../harness/compare.ts";
import { eventsSince, randomUpdate, randomValue, updateNames } from "../harness/deltas.ts";
import { testSeed } from "../harness/load.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";

test("deltas alone, applied in order, leave the source's documents; what they cannot say is set aside, not guessed", async () => {
  const random = seeded(testSeed());
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const source = client.db("patch").collection("source");
  const ns = { db: "patch", coll: "target" };
  const sink = new MongoSink(client, ns);
  await sink.prepare();
  const documents = Array.from({ length: 100 }, (_, _id) => {
    const fields = updateNames.filter(() => random() < 0.6).map((name) => [name, randomValue(random)] as const);
    return { _id, ...Object.fromEntries(fields) } as Document;
  });
  await source.insertMany(documents);
  await client.db("patch").collection("target").insertMany(documents);
  const { operationTime } = await client.db("patch").command({ ping: 1 });
  let refused = 0;
  for (let n = 0; n < 3000; n++) {
    const filter = { _id: Math.floor(random() * 100) } as Document;
    await source.updateOne(filter, randomUpdate(random)).catch((error: unknown) => {
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
