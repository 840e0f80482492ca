import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MongoClient } from "mongodb";
import { missingKeys, readByKeys } from "#io/mongo/rawReads.ts";
import { rawDelete, rawInsert } from "#io/mongo/rawWrites.ts";
import { deleteStatement } from "#sink/mongo/statements.ts";
import type { CopySource } from "#source/copy/copySource.ts";
import { RangeReader } from "#source/copy/rangeReader.ts";
import { oddIds } from "../harness/oddBytes.ts";
import { sharedMongo } from "../harness/servers.ts";
import { anyValue, encode } from "../unit/base/bson/arbitrary.ts";

const NS = { db: "contract", coll: "ranges" };

/** Some of them a server refuses for an `_id`: names that begin with `$`, and the like. */
const anyId: fc.Arbitrary<Uint8Array> = anyValue.map((value) => encode([["_id", value]]));

/** Every source is later. */
const BEGINNING = 1n << 32n;

const hex = (document: Uint8Array): string => Buffer.from(document).toString("hex");

type Bounds = Readonly<{ from?: Uint8Array; to?: Uint8Array; after?: Uint8Array }>;

const read = async (client: MongoClient, { from, to, after }: Bounds): Promise<string[]> => {
  const source: CopySource = {
    client: async () => client,
    readPreference: "primary",
    pace: undefined,
    answer: (reply) => reply,
  };
  await using reader = await RangeReader.open(source, NS, { from, to, after, at: BEGINNING }, 1024);
  const found: string[] = [];
  for (;;) {
    const { documents, ended } = await reader.next();
    found.push(...documents.map(hex));
    if (ended) return found;
  }
};

/** Those of these keys that the server takes, in the index's own order. */
const filled = async (client: MongoClient, keys: readonly Uint8Array[] = oddIds()): Promise<Uint8Array[]> => {
  await client.db(NS.db).collection(NS.coll).deleteMany({});
  await rawInsert(keys, { db: client.db(NS.db), coll: NS.coll, ordered: false });
  const sorted = client
    .db(NS.db)
    .collection(NS.coll)
    .find({}, { raw: true, sort: { _id: 1 } });
  return ((await sorted.toArray()) as unknown as Uint8Array[]).map((one) => Buffer.from(one));
};

test("a range resumes after the last copied document, with neighbours of any type", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const ids = await filled(client);
  for (const [i, after] of ids.entries())
    assert.deepEqual(
      await read(client, { after }),
      ids.slice(i + 1).map(hex),
      `after ${i}: not repeated, none left out`,
    );
});

test("a range resumes if the last copied document is gone: its neighbour is not taken for it", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const ids = await filled(client);
  const call = { db: client.db(NS.db), coll: NS.coll, ordered: true };
  for (const [i, after] of ids.entries()) {
    await rawDelete([deleteStatement(after)], call);
    assert.deepEqual(await read(client, { after }), ids.slice(i + 1).map(hex), `after ${i}, deleted since`);
    await rawInsert([after], call);
  }
});

test("ranges between bounds of all kinds hold every document once", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const ids = await filled(client);
  const edges = [undefined, ...ids.filter((_, i) => i % 4 === 1), undefined];
  const ranges = edges.slice(1).map((to, i) => ({ ...(edges[i] && { from: edges[i] }), ...(to && { to }) }));
  const found: string[] = [];
  for (const range of ranges) found.push(...(await read(client, range)));
  assert.deepEqual(found, ids.map(hex));
});

test("whatever the _ids are: each range holds its own, each key finds its document, and each document its key", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  await fc.assert(
    fc.asyncProperty(fc.array(anyId, { minLength: 2, maxLength: 12 }), fc.nat(), async (given, pick) => {
      const ids = await filled(client, given);
      if (ids.length === 0) return;
      const at = pick % ids.length;
      const [after, to] = [ids[at] as Uint8Array, ids[at] as Uint8Array];
      assert.deepEqual(await read(client, { after }), ids.slice(at + 1).map(hex));
      assert.deepEqual(await read(client, { to }), ids.slice(0, at).map(hex));
      assert.deepEqual((await readByKeys(client, NS.db, NS.coll, ids)).map(hex).sort(), ids.map(hex).sort());
      await rawDelete([deleteStatement(after)], { db: client.db(NS.db), coll: NS.coll, ordered: true });
      assert.deepEqual(await read(client, { after }), ids.slice(at + 1).map(hex));
      assert.deepEqual((await missingKeys(client, NS.db, NS.coll, ids)).map(hex), [hex(after)]);
    }),
    { numRuns: 60 },
  );
});
