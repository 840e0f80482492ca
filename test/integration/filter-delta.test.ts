import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { type Document, MongoClient } from "mongodb";
import { shaper } from "#apply/pipeline/shape.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { type BatchPlan, planBatch } from "#apply/plan/plan.ts";
import type { PatchEvent, WriteEvent } from "#base/flow/types.ts";
import { txOf } from "#io/mongo/session.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import type { FieldRules } from "#route/filter/rules.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { oneOf, type Random } from "#tools/workload/people.ts";
import { eventsSince, randomUpdate, randomValue, updateNames, withImages } from "../harness/deltas.ts";
import { eachSeed } from "../harness/load.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";

const PATHS = [...updateNames, "o.a", "o.a.b", "o.z", "list.n", "o.a.y"] as const;

const some = (random: Random, most: number): string[] => [
  ...new Set(Array.from({ length: Math.floor(random() * (most + 1)) }, () => oneOf(random, PATHS))),
];

/** Any rules at all; those that contradict each other are drawn again. */
const randomRules = (random: Random): FieldRules => {
  for (;;) {
    const allow = some(random, 4);
    const renamed = oneOf(random, PATHS);
    const fields: FieldRules = {
      ...(allow.length === 0 ? {} : { allow }),
      deny: some(random, 2),
      ...(random() < 0.4 ? { rename: { [renamed]: oneOf(random, ["fresh", "m", "a"]) } } : {}),
      ...(random() < 0.4
        ? { mask: { [oneOf(random, PATHS)]: oneOf(random, [{ text: "***" }, { keepLast: 1 }]) } }
        : {}),
    };
    try {
      new RouteFilter({ fields });
      return fields;
    } catch {
      // contradicting: drawn again
    }
  }
};

/** What the worker makes of a delta that says too little: the event with its document. */
const looked = (event: PatchEvent, doc: Uint8Array): WriteEvent => ({ ...event, op: "write", doc, fresh: false });

/** One source, its events and what a route makes of them. */
const round = async (random: Random, client: MongoClient): Promise<Readonly<{ deltas: number; unclear: number }>> => {
  const db = client.db("filterdelta");
  const fields = randomRules(random);
  const filter = new RouteFilter({ fields });
  const source = await withImages(db, "source");
  const documents = Array.from({ length: 25 }, (_, _id) => {
    const body = updateNames.filter(() => random() < 0.6).map((name) => [name, randomValue(random)] as const);
    return { _id, ...Object.fromEntries(body) } as Document;
  });
  await source.insertMany(documents);
  const { operationTime } = await db.command({ ping: 1 });
  for (let n = 0; n < 120; n++)
    // What the server refuses changes nothing and makes no event.
    await source
      .updateOne({ _id: Math.floor(random() * 25) } as Document, randomUpdate(random))
      .catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
      });
  await source.insertOne({ _id: "the last one" } as Document);
  const told = random() < 0.7;
  const events = await eventsSince(source, operationTime, "the last one", told);
  await source.deleteOne({ _id: "the last one" } as Document);

  const ns = { db: "filterdelta", coll: "target" };
  const sink = new MongoSink(client, ns);
  await sink.prepare();
  const target = db.collection<Document>(ns.coll);
  const raw = documents.map((doc) =>
    BSON.deserialize(filter.document(BSON.serialize(doc)) as Uint8Array, { promoteValues: false }),
  );
  await target.insertMany(raw);
  const shape = shaper(filter);
  const decode = createDecoder();
  let [deltas, unclear] = [0, 0];
  const planOf = (entry: Entry): BatchPlan => planBatch([shape(entry)], { writes: "replace", isHeld: () => false });
  for (const [offset, { value, image }] of events.entries()) {
    const record = { key: null, value, offset, timestampMs: offset };
    const { event } = decode(record);
    let plan = planOf({ record, event, dead: undefined });
    if (event?.op === "patch") deltas++;
    if (event?.op === "patch" && plan.dead.length > 0) {
      unclear++;
      plan = planOf({ record, event: looked(event, image as Uint8Array), dead: undefined });
    }
    await client.withSession((session) => session.withTransaction(() => sink.write(plan.ops, txOf(session))));
  }
  const final = await source.find({}, { raw: true }).toArray();
  const expected = (final as unknown as Uint8Array[]).map((doc) => spell(filter.document(doc) as Uint8Array));
  const there = await target.find({}, { raw: true }).toArray();
  const found = (there as unknown as Uint8Array[]).map(spell);
  await db.dropDatabase();
  assert.deepEqual(found.sort(), expected.sort(), `rules ${JSON.stringify(fields)}`);
  return { deltas, unclear };
};

test("filtered deltas on filtered documents leave what the filter makes of the final documents", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  await eachSeed(async (random, isOne) => {
    let [deltas, unclear] = [0, 0];
    for (let n = 0; n < (isOne ? 25 : 1); n++) {
      const found = await round(random, client);
      deltas += found.deltas;
      unclear += found.unclear;
    }
    if (!isOne) return;
    console.log(`${deltas} deltas, ${unclear} need their document`);
    assert.ok(deltas > 500 && unclear < (deltas * 2) / 3);
  });
});

test("arrays that are truncated and fields that are removed under a new name are so on the target", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const db = client.db("renamed");
  const source = await withImages(db, "source");
  const body = { list: [1, 2, 3, 4, 5], o: { deep: [1, 2, 3, 4], gone: 1 }, kept: 1 };
  await source.insertOne({ _id: 1, ...body } as Document);
  const { operationTime } = await db.command({ ping: 1 });
  await source.updateOne({ _id: 1 } as Document, [
    { $set: { list: { $slice: ["$list", 2] }, "o.deep": { $slice: ["$o.deep", 3] } } },
    { $unset: "o.gone" },
  ]);
  await source.insertOne({ _id: "last" } as unknown as Document);
  const event = (await eventsSince(source, operationTime, "last", true)).at(-1);
  const rename = { list: "items", "o.deep": "inner", "o.gone": "left", o: "outer" };
  const shape = shaper(new RouteFilter({ fields: { rename } }));
  const record = { key: null, value: event?.value as Buffer, offset: 0, timestampMs: 0 };
  const plan = planBatch([shape({ record, event: createDecoder()(record).event, dead: undefined })], {
    writes: "replace",
    isHeld: () => false,
  });
  const sink = new MongoSink(client, { db: "renamed", coll: "target" });
  const target = db.collection<Document>("target");
  await target.insertOne({ _id: 1, items: body.list, outer: { inner: body.o.deep, left: 1 }, kept: 1 } as Document);
  await sink.write(plan.ops, undefined);
  assert.deepEqual(plan.dead, []);
  assert.deepEqual(await target.findOne({ _id: 1 } as Document), {
    _id: 1,
    items: [1, 2],
    outer: { inner: [1, 2, 3] },
    kept: 1,
  });
});

/** Types and values, whatever the order of names: a delta adds fields in another order than the source's document has them. */
const spell = (doc: Uint8Array): string =>
  JSON.stringify(sorted(BSON.EJSON.serialize(BSON.deserialize(doc, { promoteValues: false }), { relaxed: false })));

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
};
