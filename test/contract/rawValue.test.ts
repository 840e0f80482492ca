import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { RawValue, rawDocument, rawId } from "#bson/rawValue.ts";
import { BsonType } from "#bson/walk.ts";
import { missingKeys, readByKeys } from "#mongo/rawReads.ts";
import { rawInsert } from "#mongo/rawWrites.ts";
import { documentOfParts, int32, keyOf, oddIds } from "../harness/oddBytes.ts";
import { sharedMongo } from "../harness/servers.ts";

const hex = (documents: readonly Uint8Array[]): string[] => documents.map((one) => Buffer.from(one).toString("hex"));

test("a raw value stands in a command as the bytes it is: at the top, in a list, below", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const value = documentOfParts([BsonType.int32, "10", int32(1)], [BsonType.int32, "9", int32(2)]);
  const coll = client.db("contract").collection("raw_values");
  await coll.insertOne({
    a: rawDocument(value),
    b: [rawDocument(value)],
    c: { d: new RawValue(BsonType.int32, int32(7)) },
  });
  const [found] = (await coll
    .find({ a: rawDocument(value) }, { raw: true, projection: { _id: 0 } })
    .toArray()) as unknown as Uint8Array[];
  const list = documentOfParts([BsonType.object, "0", value]);
  const expected = documentOfParts(
    [BsonType.object, "a", value],
    [BsonType.array, "b", list],
    [BsonType.object, "c", documentOfParts([BsonType.int32, "d", int32(7)])],
  );
  assert.deepEqual(hex([found ?? Buffer.alloc(0)]), hex([expected]));
});

test("documents of every odd _id are found by their keys, and missing ones are told", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const keys = oddIds();
  const there = keys.filter((_, i) => i % 3 !== 0);
  const { errors } = await rawInsert(there, { db: client.db("contract"), coll: "odd_keys", ordered: false });
  assert.deepEqual(errors, []);
  const found = await readByKeys(client, "contract", "odd_keys", keys);
  assert.deepEqual(hex(found).sort(), hex(there).sort());
  const missing = await missingKeys(client, "contract", "odd_keys", keys);
  assert.deepEqual(hex(missing).sort(), hex(keys.filter((_, i) => i % 3 === 0)).sort());
  assert.deepEqual(keyOf(rawId(there[0] as Uint8Array)), there[0]);
});
