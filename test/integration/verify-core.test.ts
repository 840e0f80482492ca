import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BSON, Decimal128, type Document, Double, Int32, Long } from "bson";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { comparedPair, type Pair } from "#proof/verify/pair.ts";
import { clusterTimeOf } from "#proof/verify/reads.ts";
import { type PassResult, Verification, type VerificationDeps } from "#proof/verify/verification.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { sharedMongo } from "../harness/servers.ts";

const clients: MongoClient[] = [];
after(() => Promise.all(clients.map((client) => client.close())));

const sides = async (): Promise<[MongoClient, MongoClient]> => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const opened = await Promise.all([source, target].map(({ uri }) => MongoClient.connect(uri)));
  clients.push(...opened);
  return opened as [MongoClient, MongoClient];
};

let collections = 0;

/** Both sides hold the same documents; faults are planted by the test. */
const twins = async (documents: readonly Document[], options: object = {}) => {
  const [here, there] = await sides();
  const ns = { db: "verify", coll: `c${++collections}` };
  const both = [here, there].map((client) => client.db(ns.db));
  for (const db of both) {
    await db.createCollection(ns.coll, options);
    for (let from = 0; from < documents.length; from += 10_000)
      await db.collection(ns.coll).insertMany(documents.slice(from, from + 10_000) as never);
  }
  const [source, target] = both.map((db) => db.collection<Document>(ns.coll));
  assert.ok(source !== undefined && target !== undefined);
  return { here, there, ns, source, target };
};

type Twins = Awaited<ReturnType<typeof twins>>;

const verify = async (
  { here, there, ns }: Twins,
  rules: Partial<Pair> = {},
  how: Partial<VerificationDeps> = {},
): Promise<PassResult> => {
  const store = new VerificationStore(new StateDb(there, "ferry"));
  const pair: Pair = {
    route: `${ns.db}.${ns.coll}`,
    source: { client: here, ns },
    target: { client: there, ns },
    expect: undefined,
    onto: undefined,
    learn: async () => undefined,
    policy: "mirror",
    rules: "",
    applied: () => clusterTimeOf(here), // no writes: everything is there
    excused: async () => new Set(),
    ...rules,
  };
  const deps: VerificationDeps = {
    store,
    clock: systemClock,
    signal: AbortSignal.timeout(60_000),
    onRetry: (error) => assert.fail(error.detail),
    onProgress: () => undefined,
    throttle: undefined,
    readers: 2,
    graceMs: 1000,
    patienceMs: 30_000,
    ...how,
  };
  return new Verification(comparedPair(pair), deps).pass();
};

const users = (count: number): Document[] =>
  Array.from({ length: count }, (_, i) => ({ _id: i, name: `user ${i}`, n: new Int32(i), x: new Double(-0) }));

const verdicts = ({ examples }: PassResult): string[] =>
  examples
    .map(({ key, kind, difference }) => {
      const { _id } = BSON.deserialize(key);
      return `${_id} ${kind}${difference === undefined ? "" : ` ${difference.kind} ${difference.path}`}`;
    })
    .sort();

test("equal collections: every document compared, nothing wrong", async () => {
  const result = await verify(await twins(users(25_000)));
  assert.deepEqual([result.documents, result.wrong, result.excused], [25_000, 0, 0]);
});

test("finds each planted fault, wherever it is in a reply, and nothing else", async () => {
  const pair = await twins(users(30_000));
  const { source, target } = pair;
  await target.updateOne({ _id: 0 as never }, { $set: { name: "user 1" } }); // one bit of the first document
  await target.deleteOne({ _id: 9999 as never }); // the last one of the first reply
  await target.deleteOne({ _id: 10_000 as never });
  await target.insertOne({ _id: 10_000.5 as never, extra: true });
  await target.updateOne({ _id: 15_000 as never }, { $set: { n: Long.fromNumber(15_000) } });
  await target.updateOne({ _id: 20_000 as never }, { $set: { x: new Double(0) } });
  await target.replaceOne({ _id: 29_999 as never }, { n: new Int32(29_999), name: "user 29999", x: new Double(-0) });
  await target.insertOne({ _id: -1 as never, extra: true });
  await target.insertOne({ _id: "behind all" as never, extra: true });
  const result = await verify(pair);
  assert.deepEqual(verdicts(result), [
    "-1 extra",
    "0 different value name",
    "10000 missing",
    "10000.5 extra",
    "15000 different number-type n",
    "20000 different value x",
    "29999 different field-order ",
    "9999 missing",
    "behind all extra",
  ]);
  assert.equal(result.wrong, 9);
  assert.equal(await source.countDocuments(), result.documents);
});

test("what an earlier pass has found counts once, also where it is judged before this pass comes to it", async () => {
  const pair = await twins(users(25_000));
  await pair.target.insertOne({ _id: "behind all" as never, extra: true });
  assert.equal((await verify(pair)).wrong, 1);
  const again = await verify(pair, {}, { throttle: { restAfter: () => 300 } as never });
  assert.deepEqual([again.wrong, verdicts(again)], [1, ["behind all extra"]]);
});

test("an empty target, an empty source, and both", async () => {
  const [full, none, neither] = [await twins(users(1500)), await twins(users(1500)), await twins([])];
  await full.target.deleteMany({});
  await none.source.deleteMany({});
  const kinds = ({ examples }: PassResult): Set<string> => new Set(examples.map(({ kind }) => kind));
  const [missing, extra, nothing] = [await verify(full), await verify(none), await verify(neither)];
  assert.deepEqual([missing.wrong, [...kinds(missing)]], [1500, ["missing"]]);
  assert.deepEqual([extra.wrong, [...kinds(extra)]], [1500, ["extra"]]);
  assert.deepEqual([nothing.wrong, nothing.documents], [0, 0]);
});

test("a collection that is not there any more has no documents: dropped or renamed while it is carried", async () => {
  const pair = await twins(users(10));
  await pair.source.drop();
  const dropped = await verify(pair);
  assert.deepEqual([dropped.documents, dropped.wrong], [0, 10]);
  await pair.target.drop();
  const followed = await verify(pair);
  assert.deepEqual([followed.documents, followed.wrong], [0, 0]);
  const renamed = await twins(users(10));
  for (const side of [renamed.source, renamed.target]) await side.rename(`${renamed.ns.coll}_next`);
  const { documents, wrong } = await verify(renamed);
  assert.deepEqual([documents, wrong], [0, 0]);
});

test("_ids of every type, in one collection, and under a collation", async () => {
  const ids = [
    ...[
      1,
      new Double(1.5),
      Long.fromString("9007199254740993"),
      Decimal128.fromString("2.5"),
      "a",
      "é",
      "",
      { b: 1, a: 2 },
    ],
    ...[new Date(-1), true, null, new BSON.ObjectId(), new BSON.Binary(Buffer.from("x")), new BSON.Timestamp(5n)],
    ...[new BSON.MinKey(), new BSON.MaxKey(), { 10: 1, 9: 2 }],
  ];
  for (const options of [{}, { collation: { locale: "en", strength: 2 } }]) {
    const pair = await twins(
      ids.map((_id) => ({ _id, v: 1 })),
      options,
    );
    assert.equal((await verify(pair)).wrong, 0);
    await pair.target.updateMany({}, { $set: { v: 2 } });
    assert.equal((await verify(pair)).wrong, ids.length);
    await pair.target.deleteMany({});
    assert.equal((await verify(pair)).wrong, ids.length);
  }
});

test("through a filter: what should be there is what counts, and a leaked field is found", async () => {
  const pair = await twins(users(20_000));
  const expect = (document: Uint8Array): Uint8Array | undefined => {
    const { _id, name } = BSON.deserialize(document, { promoteValues: false });
    return Number(_id) % 3 === 0 ? undefined : BSON.serialize({ _id, name });
  };
  await pair.target.deleteMany({ _id: { $mod: [3, 0] } as never });
  await pair.target.updateMany({}, { $unset: { n: 1, x: 1 } });
  assert.equal((await verify(pair, { expect, rules: "name" })).wrong, 0);
  await pair.target.updateOne({ _id: 10_001 as never }, { $set: { n: 1 } });
  await pair.target.insertOne({ _id: 9 as never, name: "user 9" });
  await pair.target.deleteOne({ _id: 19_999 as never });
  const found = verdicts(await verify(pair, { expect, rules: "name" }));
  assert.deepEqual(found, ["10001 different value n", "19999 missing", "9 extra"]);
});

test("no false alarm while both sides are written to, and a planted fault among it is found", async () => {
  const pair = await twins(users(20_000));
  const { source, target, here } = pair;
  const writing = new AbortController();
  let applied = await clusterTimeOf(here);
  let writes = 0;
  /** A pipeline of this test's own: what it writes to the source comes to the target a little later. */
  const pipeline = (async () => {
    while (!writing.signal.aborted) {
      const ids = Array.from({ length: 100 }, () => Math.floor(Math.random() * 20_000)).filter((id) => id !== 777);
      const change = ids.map((_id, i) =>
        i % 5 === 0
          ? { deleteOne: { filter: { _id } } }
          : { updateOne: { filter: { _id }, update: { $set: { v: writes + i } }, upsert: true } },
      );
      await source.bulkWrite(change as never);
      const at = await clusterTimeOf(here);
      await target.bulkWrite(change as never);
      applied = at;
      writes += ids.length;
    }
  })();
  await target.updateOne({ _id: 777 as never }, { $set: { wrong: true } });
  const result = await verify(pair, { applied: async () => applied });
  writing.abort();
  await pipeline;
  assert.ok(writes > 0);
  assert.deepEqual(verdicts(result), ["777 different value wrong"]);
});
