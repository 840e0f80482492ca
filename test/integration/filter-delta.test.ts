import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { type Document, MongoClient } from "mongodb";
import type { Entry } from "#apply/entry.ts";
import { planBatch } from "#apply/plan.ts";
import { RouteFilter } from "#filter/routeFilter.ts";
import type { FieldRules } from "#filter/rules.ts";
import { pick, type Random, seeded } from "#run/genData.ts";
import { shaper } from "#run/shape.ts";
import { MongoSink } from "#sink/mongoSink.ts";
import { createDecoder } from "#wire/decode.ts";
import { eventsSince, randomUpdate, randomValue, updateNames } from "../harness/deltas.ts";
import { testSeed } from "../harness/load.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";

const PATHS = [...updateNames, "o.a", "o.a.b", "o.z", "list.n", "o.a.y"] as const;

const some = (random: Random, most: number): string[] => [
  ...new Set(Array.from({ length: Math.floor(random() * (most + 1)) }, () => pick(random, PATHS))),
];

/** Any rules at all; those that contradict each other are drawn again. */
const randomRules = (random: Random): FieldRules => {
  for (;;) {
    const allow = some(random, 4);
    const renamed = pick(random, PATHS);
    const fields: FieldRules = {
      ...(allow.length === 0 ? {} : { allow }),
      deny: some(random, 2),
      ...(random() < 0.4 ? { rename: { [renamed]: pick(random, ["fresh", "m", "a"]) } } : {}),
      ...(random() < 0.4 ? { mask: { [pick(random, PATHS)]: pick(random, [{ text: "***" }, { keepLast: 1 }]) } } : {}),
    };
    try {
      new RouteFilter({ fields });
      return fields;
    } catch {
      // contradicting: drawn again
    }
  }
};

test("filtered deltas on filtered documents leave what the filter makes of the final documents", async () => {
  const random = seeded(testSeed());
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const db = client.db("filterdelta");
  const decode = createDecoder();
  let [deltas, unclear] = [0, 0];
  for (let round = 0; round < 25; round++) {
    const fields = randomRules(random);
    const filter = new RouteFilter({ fields });
    const source = db.collection<Document>(`source${round}`);
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
    const events = await eventsSince(source, operationTime, "the last one");
    await source.deleteOne({ _id: "the last one" } as Document);

    const ns = { db: "filterdelta", coll: `target${round}` };
    const sink = new MongoSink(client, ns);
    await sink.prepare();
    const target = db.collection<Document>(ns.coll);
    const raw = documents.map((doc) =>
      BSON.deserialize(filter.document(BSON.serialize(doc)) as Uint8Array, { promoteValues: false }),
    );
    await target.insertMany(raw);
    const shape = shaper(filter);
    const tainted = new Set<unknown>(); // a delta of theirs needs the document: the worker looks it up
    for (const [offset, value] of events.entries()) {
      const record = { key: null, value, offset, timestampMs: offset };
      const { event } = decode(record);
      const entry: Entry = { record, event, dead: undefined };
      const plan = planBatch([shape(entry)], { insertFirst: false, isHeld: () => false });
      await client.withSession((session) => session.withTransaction(() => sink.write(plan.ops, session)));
      if (event?.op === "patch") deltas++;
      if (plan.dead.length === 0 || event === undefined || !("key" in event)) continue;
      unclear++;
      tainted.add(BSON.deserialize(event.key)["_id"]);
    }
    const final = await source.find({ _id: { $nin: [...tainted] } } as Document, { raw: true }).toArray();
    const expected = (final as unknown as Uint8Array[]).map((doc) => spell(filter.document(doc) as Uint8Array));
    const there = await target.find({ _id: { $nin: [...tainted] } } as Document, { raw: true }).toArray();
    const found = (there as unknown as Uint8Array[]).map(spell);
    assert.deepEqual(found.sort(), expected.sort(), `rules ${JSON.stringify(fields)}`);
  }
  console.log(`${deltas} deltas, ${unclear} need their document`);
  assert.ok(deltas > 500 && unclear < deltas / 2);
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
