import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { MongoClient } from "mongodb";
import { rawDelete, rawInsert, rawPathAvailable, rawUpdate } from "#io/mongo/rawWrites.ts";
import { txOf } from "#io/mongo/session.ts";
import { sharedMongo } from "../harness/servers.ts";

/** A document that no decoder preserves: undefined, DBPointer, a name that occurs twice, a NaN with a payload. */
const strange = (id: number): Buffer => {
  const element = (type: number, name: string, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), value]);
  const int = (n: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(n);
    return bytes;
  };
  const body = Buffer.concat([
    element(0x10, "_id", int(id)),
    element(0x06, "undefined", Buffer.alloc(0)),
    element(0x0c, "pointer", Buffer.concat([int(4), Buffer.from("a.b\0"), Buffer.alloc(12, 7)])),
    element(0x10, "twice", int(1)),
    element(0x10, "twice", int(2)),
    element(0x01, "nan", Buffer.from("0100000000f8ff7f", "hex")),
  ]);
  return Buffer.concat([int(body.length + 5), body, Buffer.from([0])]);
};

const open = async (coll: string) => {
  const client = await new MongoClient((await sharedMongo()).uri).connect();
  return { client, call: { db: client.db("contract"), coll, ordered: true } };
};

const readRaw = async (client: MongoClient, coll: string): Promise<Buffer[]> =>
  (await client
    .db("contract")
    .collection(coll)
    .find({}, { raw: true, sort: { _id: 1 } })
    .toArray()) as unknown as Buffer[];

test("the installed driver has the document sequence that the raw path needs", () => {
  assert.equal(
    rawPathAvailable(),
    true,
    "mongodb/lib/cmap/commands.js no longer exports a DocumentSequence with push()",
  );
});

test("inserted bytes are the bytes on the server", async () => {
  const { client, call } = await open("insert");
  await using _client = client;
  const documents = [strange(1), strange(2)];
  assert.deepEqual(await rawInsert(documents, call), { n: 2, errors: [] });
  assert.deepEqual(
    (await readRaw(client, "insert")).map((raw) => raw.toString("hex")),
    documents.map((raw) => raw.toString("hex")),
  );
});

test("updates and deletes run as assembled, in a session too, and refused statements come back with index, code and key", async () => {
  const { client, call } = await open("update");
  await using _client = client;
  await rawInsert([strange(1), strange(2)], call);
  await client.withSession((session) =>
    session.withTransaction(async () => {
      const replace = { q: { _id: 2 }, u: { _id: 2, replaced: true }, upsert: true };
      assert.equal((await rawUpdate([BSON.serialize(replace)], { ...call, tx: txOf(session) })).n, 1);
      assert.equal(
        (await rawDelete([BSON.serialize({ q: { _id: 1 }, limit: 1 })], { ...call, tx: txOf(session) })).n,
        1,
      );
    }),
  );
  assert.deepEqual(
    (await readRaw(client, "update")).map((raw) => BSON.deserialize(raw)),
    [{ _id: 2, replaced: true }],
  );
  const { errors } = await rawInsert([strange(3), strange(2)], call);
  assert.deepEqual(
    errors.map(({ index, code, keyPattern, keyValue }) => ({
      index,
      code,
      key: keyPattern?.text,
      value: keyValue?.text,
    })),
    [{ index: 1, code: 11000, key: '{"_id":{"$numberInt":"1"}}', value: '{"_id":{"$numberInt":"2"}}' }],
  );
});
