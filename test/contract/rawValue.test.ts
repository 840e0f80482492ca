import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { RawValue, rawDocument, rawField, rawId } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { missingKeys, readByKeys } from "#io/mongo/rawReads.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { parseConnector } from "#source/connector/connectorConfig.ts";
import { copyIsEmpty } from "#source/connector/connectorCopy.ts";
import { recommended } from "../harness/capture.ts";
import { documentOfParts, int32, key, keyOf, LATIN1, oddIds, string } from "../harness/oddBytes.ts";
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

test("documents of every odd _id are found by their keys, and missing ones are reported", async () => {
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

test("what is only looked at may be no UTF-8: the first document, a validator, a key that clashes", async () => {
  const { uri } = await sharedMongo();
  await using client = await connectMongo(uri, { appName: "test" });
  const [db, coll] = ["contract", "latin1"];
  const validator = rawDocument(
    documentOfParts([BsonType.object, "v", documentOfParts([BsonType.string, "$ne", string(LATIN1)])]),
  );
  await client.db(db).command({ create: coll, validator });
  const document = key(BsonType.string, string(LATIN1));
  const call = { db: client.db(db), coll, ordered: true };
  await rawInsert([document], call);
  const { operationTime } = await client.db(db).command({ ping: 1 });
  assert.equal(await copyIsEmpty(client, parseConnector(recommended(uri, db, coll)), operationTime, 10_000), false);
  const sink = new MongoSink(client, { db, coll });
  assert.equal((await sink.look()).occupied, true);
  assert.ok((await sink.uuid()) !== undefined);
  const [clash] = (await rawInsert([document], call)).errors;
  assert.equal(clash?.code, 11000); // its keyValue is hexadecimal text where the key is no UTF-8: the server's own choice
  await assert.rejects(
    client
      .db(db)
      .collection(coll)
      .insertOne({ _id: rawField(document, "_id") } as never),
    { code: 11000 },
  );
});
