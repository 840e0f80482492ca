import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { bothSides } from "../harness/bothSides.ts";
import { directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { mongo, sharedMongo } from "../harness/servers.ts";

const arrives = (there: MongoClient, db: string, coll: string, filter: Document): Promise<void> =>
  waitFor(
    async () =>
      (await there.db(db).collection(coll).findOne(filter)) === null ? { seen: "not there" } : { done: undefined },
    { what: `${JSON.stringify(filter)} in ${db}.${coll}`, clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
  );

test("globs and exclusions over several databases, and collections that are created later", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  for (const [i, name] of ["users", "orders", "secret", "tmp_a"].entries())
    await fill(both.here.db("shop").collection(name), 300, seed + i);
  await fill(both.here.db("crm").collection("people.with.dots"), 300, seed);
  await fill(both.here.db("other").collection("left"), 10, seed);
  const load = startLoad(both.here.db("shop").collection("orders"), { seed, writers: 5, keys: 600, pauseMs: 20 });
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["shop.*", "crm"],
    args: ["--exclude", "*.secret", "--exclude", "shop.tmp_*,shop.secert", "--state-db", "ferry_globs"],
  });
  await run.says("--exclude shop.secert matches no collection of the source yet");
  await run.says("copy finished");
  await both.here
    .db("shop")
    .collection("later")
    .insertMany([{ n: 1 }, { n: 2 }]);
  await both.here.db("shop").collection("secret").insertOne({ n: 1 });
  await load.stop();
  for (const name of ["shop.users", "shop.orders", "shop.later", "crm.people.with.dots"])
    await directConverged(both.here, both.there, name);
  const shop = (await both.there.db("shop").listCollections().toArray()).map(({ name }) => name);
  assert.deepEqual(shop.sort(), ["later", "orders", "users"]);
  assert.equal((await both.there.db("other").listCollections().toArray()).length, 0);
});

test("a collection dropped and made again while it is followed", async () => {
  await using both = await bothSides();
  const coll = both.here.db("drops").collection("c");
  await coll.insertMany(Array.from({ length: 500 }, (_, n) => ({ _id: n as never, n })));
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["drops.*"],
    args: ["--state-db", "ferry_drops"],
  });
  await run.says("copy finished");
  await coll.drop();
  await coll.insertOne({ _id: "new" as never });
  await arrives(both.there, "drops", "c", { _id: "new" });
  const found = await directConverged(both.here, both.there, "drops.c");
  assert.equal(found.source, 2);
});

test("every _id type at the bounds of ranges is copied once, whatever is asked in between", async () => {
  await using both = await bothSides();
  const coll = both.here.db("mixed").collection("ids");
  await fill(coll, 6000, 7);
  await coll.insertMany(
    [Number.NaN, -0.5, null, true, new Date(5), { a: 1 }, Buffer.from("x"), ""].map((_id) => ({
      _id: _id as never,
    })),
  );
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["mixed.ids"],
    args: ["--state-db", "ferry_mixed", "--range-documents", "500"],
  });
  await run.says("copy finished");
  assert.match(run.log(), /in 1[23] ranges/);
  const found = await directConverged(both.here, both.there, "mixed.ids");
  assert.equal(found.source, 6009);
});

const refusals: readonly (readonly [
  title: string,
  code: string,
  exit: number,
  args: (source: string, target: string) => string[],
])[] = [
  ["an unknown namespace", "FERRY_SOURCE_NOTHING", 64, () => ["--include", "nowhere.users"]],
  [
    "a misspelt name beside one that is there",
    "FERRY_SOURCE_NOTHING: refuse.user is not on the source; did you mean refuse.users\\?",
    64,
    () => ["--include", "refuse.taken", "--include", "refuse.user", "--conflict", "mirror"],
  ],
  ["a view by its name", "FERRY_SOURCE_NOTHING: refuse.seen is a view", 64, () => ["--include", "refuse.seen"]],
  [
    "the same source and target",
    "FERRY_SAME_SERVER",
    64,
    (source) => ["--include", "refuse.users", "--target", source],
  ],
  ["a target that is not empty", "FERRY_TARGET_NOT_EMPTY", 76, () => ["--include", "refuse.taken"]],
  ["a name that names nothing", "FERRY_USAGE", 64, () => ["--include", ".users"]],
  ["an empty name, which is not everything", "FERRY_USAGE", 64, () => ["--include", ""]],
  [
    "a name of which nothing is left",
    "FERRY_SOURCE_NOTHING: --exclude skips everything that refuse.users matches",
    64,
    () => ["--include", "refuse.users", "--exclude", "refuse.*"],
  ],
];

test("collections come with their options, indexes and views: relaxed while documents arrive, whole after finalize", async () => {
  await using both = await bothSides();
  const [here, there] = [both.here.db("built"), both.there.db("built")];
  await here.createCollection("users", { validator: { age: { $not: { $lt: 0 } } } });
  await here.collection("users").createIndexes([
    { key: { email: 1 }, name: "email", unique: true, sparse: true },
    { key: { seen: 1 }, name: "seen", expireAfterSeconds: 1_000_000_000 },
  ]);
  await here.createCollection("adults", { viewOn: "users", pipeline: [{ $match: { age: { $gte: 18 } } }] });
  await here
    .collection("users")
    .insertMany(Array.from({ length: 20 }, (_, i) => ({ name: `n${i}`, email: i, age: i })));
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["built.*"],
    args: ["--state-db", "ferry_built"],
  };
  const indexes = async (): Promise<Document[]> => (await there.collection("users").indexes()).slice(1);
  {
    await using run = await startDirect(options);
    await run.says("copy finished");
    await directConverged(both.here, both.there, "built.users");
    assert.deepEqual(
      (await indexes()).map(({ name, unique = false }) => [name, unique]),
      [
        ["email", false],
        ["seen", false],
      ],
    );
    await here.collection("users").createIndex({ age: 1 }, { name: "age" });
    await waitFor(
      async () => {
        const names = (await indexes()).map(({ name }) => String(name));
        return names.includes("age") ? { done: undefined } : { seen: names };
      },
      { what: "the new index to be followed", clock: systemClock, timeoutMs: 20_000 },
    );
    run.kill("SIGTERM");
    await run.exited;
  }
  const sidesOf = ["--source", both.source.uri, "--target", both.target.uri, "--state-db", "ferry_built"];
  const finalized = await ferry(["structure", "finalize", ...sidesOf]);
  assert.equal(finalized.status, 0, finalized.err);
  const spell = (found: Document[]): unknown[] =>
    found.map(({ name, key, unique, expireAfterSeconds }) => [name, key, unique, expireAfterSeconds]);
  assert.deepEqual(spell(await indexes()), spell((await here.collection("users").indexes()).slice(1)));
  await assert.rejects(there.collection("users").insertOne({ age: -1 }), /failed validation/);
  assert.equal(await there.collection("adults").countDocuments(), 2);

  // Started over, killed while the target is being emptied, and started again without the flag.
  await there.collection("users").insertOne({ age: 7, email: "own" });
  const build = await ferry(["structure", "build", ...sidesOf, "--include", "built.*", "--replace-target"]);
  assert.match(build.err, /FERRY_CAPTURE_OTHER: .*`ferry run --replace-target`/);
  {
    const args = [...options.args, "--replace-target"];
    await using killed = await startDirect({ ...options, args, env: { FERRY_FAULT: "structure-noted:2" } });
    await killed.says("fault point");
    await killed.exited;
  }
  await using again = await startDirect(options);
  await again.says("copy finished");
  await directConverged(both.here, both.there, "built.users");
  assert.deepEqual(
    (await indexes()).map(({ unique = false }) => unique),
    [false, false, false],
  );
});

test("a target that cannot take the source's structure is refused, except with --no-structure", async () => {
  await using both = await bothSides();
  await both.here.db("unlike").createCollection("c", { collation: { locale: "de" } });
  await both.there.db("unlike").createCollection("c", { collation: { locale: "fr" } });
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["unlike.c"],
    args: ["--state-db", "ferry_unlike"],
  };
  const { status, err } = await endDirect(options);
  assert.notEqual(status, 0);
  assert.match(err, /FERRY_STRUCTURE_REFUSED: unlike\.c/);
  assert.equal((await both.there.db("ferry_unlike").listCollections().toArray()).length, 0, "nothing is written");
  await both.here.db("unlike").collection("c").insertOne({ n: 1 });
  await using run = await startDirect({ ...options, args: [...options.args, "--no-structure"] });
  await run.says("copy finished");
  await directConverged(both.here, both.there, "unlike.c");
});

test("refused in one sentence before anything is written", async (t) => {
  await using both = await bothSides();
  await both.here.db("refuse").collection("users").insertOne({ n: 1 });
  await both.here.db("refuse").collection("taken").insertOne({ n: 1 });
  await both.here.db("refuse").createCollection("seen", { viewOn: "users", pipeline: [] });
  await both.there.db("refuse").collection("taken").insertOne({ own: 1 });
  for (const [title, code, exit, args] of refusals)
    await t.test(title, async () => {
      const stateDb = "ferry_refused";
      const { status, err } = await endDirect({
        source: both.source.uri,
        target: both.target.uri,
        args: ["--state-db", stateDb, ...args(both.source.uri, both.target.uri)],
      });
      assert.equal(status, exit, err);
      assert.match(err, new RegExp(code));
      assert.equal((await both.there.db(stateDb).listCollections().toArray()).length, 0, "nothing is written");
    });
});

test("a standalone source is refused", async () => {
  await using alone = await mongo({ replSet: null });
  const target = await sharedMongo("target");
  const { status, err } = await endDirect({
    source: alone.uri,
    target: target.uri,
    args: ["--state-db", "ferry_alone"],
  });
  assert.equal(status, 64, err);
  assert.match(err, /FERRY_SOURCE_STANDALONE/);
});

test("a second process for the same target is refused, other namespaces as well", async () => {
  await using both = await bothSides();
  await both.here.db("twice").collection("a").insertOne({ n: 1 });
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["twice.a"],
    args: ["--state-db", "ferry_twice"],
  };
  await using run = await startDirect(options);
  await run.says("copy finished");
  const second = await endDirect(options);
  assert.equal(second.status, 75, second.err);
  assert.match(second.err, /FERRY_CAPTURE_TAKEN/);
  const other = await endDirect({ ...options, include: ["twice.*"] });
  assert.equal(other.status, 64, other.err);
  assert.match(other.err, /FERRY_CAPTURE_OTHER: .*--include 'twice\.a'/);
});

test("a user who lacks a privilege is refused, with its name", async () => {
  using folder = tempFolder();
  const keyFile = join(folder.path, "key");
  writeFileSync(keyFile, "ferryferryferryferry", { mode: 0o600 });
  await using source = await mongo({
    args: ["--setParameter", "enableLocalhostAuthBypass=1", "--auth", "--keyFile", keyFile],
  });
  const target = await sharedMongo("target");
  await using admin = await new MongoClient(source.uri).connect();
  await admin.db("admin").command({ createUser: "root", pwd: "root", roles: ["root"] });
  const uri = (user: string): string =>
    `${source.uri.replace("mongodb://", `mongodb://${user}:${user}@`)}&authSource=admin`;
  await using root = await new MongoClient(uri("root")).connect();
  await root.db("shop").collection("users").insertOne({ n: 1 });
  await root.db("shop").createCollection("weather", { timeseries: { timeField: "t" } });
  const half = { resource: { db: "shop", collection: "" }, actions: ["find", "listCollections"] };
  const most = { ...half, actions: [...half.actions, "listIndexes", "changeStream"] };
  for (const [name, privilege] of Object.entries({ half, most })) {
    await root.db("admin").command({ createRole: `${name}Role`, privileges: [privilege], roles: [] });
    await root.db("admin").command({ createUser: name, pwd: name, roles: [`${name}Role`] });
  }
  await root.db("admin").command({ createUser: "none", pwd: "none", roles: [] });
  for (const [user, include, lacks] of [
    ["half", ["shop.users"], "changeStream on shop"],
    ["most", ["shop.*"], "find on shop.system.buckets.weather"],
    // Of a cluster that it may not read it sees no database, instead of an error.
    ["none", [], "find, changeStream on every database"],
    ["most", [], "find, changeStream on every database"],
  ] as const) {
    const args = ["--state-db", "ferry_rights"];
    const { status, err } = await endDirect({ source: uri(user), target: target.uri, include, args });
    assert.equal(status, 77, err);
    assert.match(err, new RegExp(`FERRY_MONGO_PRIVILEGE: ${user}@admin lacks ${lacks} of the source`));
  }
  await using there = await new MongoClient(target.uri).connect();
  assert.equal((await there.db("ferry_rights").listCollections().toArray()).length, 0, "nothing is written");
  const { status, err } = await endDirect({ source: target.uri, target: uri("half"), args: ["--state-db", "own"] });
  assert.equal(status, 77, err);
  assert.match(err, /FERRY_MONGO_PRIVILEGE: half@admin lacks find, insert, .* on own of the target: ferry's own state/);
});

test("a source that becomes slow is read less, and more again when it has recovered", async () => {
  await using both = await bothSides();
  await fill(both.here.db("paced").collection("users"), 6000, 5);
  const slow = { failCommands: ["find"], blockConnection: true, blockTimeMS: 150 };
  const failPoint = (mode: string): Promise<Document> =>
    both.here.db("admin").command({ configureFailPoint: "failCommand", mode, data: slow });
  await failPoint("alwaysOn");
  try {
    await using run = await startDirect({
      source: both.source.uri,
      target: both.target.uri,
      include: ["paced.users"],
      args: ["--state-db", "ferry_paced", "--range-documents", "500", "--max-source-load", "50"],
    });
    await run.says("takes more than 50 ms for a small read: copying slows down");
    assert.match(run.log(), /"share":0\.0\d/);
    await failPoint("off");
    await run.says("takes less than 50 ms for a small read again");
    await run.says("copy finished");
    assert.equal((await directConverged(both.here, both.there, "paced.users")).source, 6001);
  } finally {
    await failPoint("off");
  }
});

test("the copy reads from secondaries, and waits for one that has not reached the start position", async () => {
  await using source = await mongo({ nodes: 3 });
  const target = await sharedMongo("target");
  await using stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const { hosts, primary } = await here.db("admin").command({ hello: 1 });
  const secondaries: MongoClient[] = [];
  for (const host of (hosts as string[]).filter((name) => name !== primary))
    secondaries.push(stack.use(await new MongoClient(`mongodb://${host}/?directConnection=true`).connect()));
  const [held] = secondaries as [MongoClient, MongoClient];
  const holdBack = (mode: string): Promise<Document> =>
    held.db("admin").command({ configureFailPoint: "rsSyncApplyStop", mode });
  const returned = async (): Promise<number> => {
    const all = await Promise.all(secondaries.map((member) => member.db("admin").command({ serverStatus: 1 })));
    return all.reduce((sum, { metrics }) => sum + Number(metrics.document.returned), 0);
  };
  await holdBack("alwaysOn");
  const users = here.db("away").collection("users");
  await fill(users, 3000, 11);
  await users.deleteMany({ _id: { $gte: 2900 as never } }, { writeConcern: { w: "majority" } });
  const before = await returned();
  await using run = await startDirect({
    source: source.uri,
    target: target.uri,
    include: ["away.users"],
    args: ["--state-db", "ferry_away", "--range-documents", "200", "--read-preference", "secondary"],
  });
  await run.says(", a secondary");
  await users.updateMany({}, { $set: { later: 1 } });
  await holdBack("off");
  await run.says("copy finished");
  assert.ok((await returned()) - before >= 2900, "the secondaries handed the documents out");
  assert.doesNotMatch(run.log(), /copying from [^"]*the primary/);
  await directConverged(here, there, "away.users");
});
