import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ANY_CREDENTIALS } from "#tools/stack/cognitoLocal.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import { CognitoServer, type SeenUser } from "../harness/cognito/cognitoServer.ts";
import { directConverged, endDirect, startCapture, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { removeFolder, tempFolder } from "../harness/folders.ts";
import { testSeed } from "../harness/load.ts";
import { TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

let cognito: CognitoServer;
before(async () => {
  cognito = await CognitoServer.start();
});
after(() => cognito[Symbol.asyncDispose]());

const ATTRIBUTES = "{ email: email, given_name: firstname, family_name: lastname, custom:plan: plan }";
const SCHEMA = [{ Name: "plan", AttributeDataType: "String", Mutable: true }] as const;
/** What a test of seconds needs; AWS allows less. */
const FAST = "{ UserCreation: 2000, UserUpdate: 2000, UserRead: 2000, UserList: 2000 }";

type Setup = Readonly<{
  db: string;
  pool?: string;
  /** False: none is named. */
  region?: false;
  endpoint?: string;
  attributes?: string;
  groups?: string;
  password?: string;
  quotas?: string;
  /** There is no route to MongoDB, no target, and ferry's state is on the source. */
  alone?: true;
}>;

const setUp = async ({ db, ...given }: Setup) => {
  const [from, to] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [source, target] = await Promise.all([new MongoClient(from.uri).connect(), new MongoClient(to.uri).connect()]);
  const pool = given.pool ?? (await cognito.createPool({ Schema: [...SCHEMA] }));
  const folder = tempFolder().path;
  const config = join(folder, "ferry.yaml");
  writeFileSync(
    config,
    `routes:
${given.alone ? "" : `  - from: ${db}.users`}
  - name: ${db}-pool
    from: ${db}.users
    to:
      cognito:
        userPoolId: ${pool}
        ${given.region === false ? "" : "region: local"}
        endpoint: ${given.endpoint ?? cognito.endpoint}
        username: user-{_id}
        attributes: ${given.attributes ?? ATTRIBUTES}
        quotas: ${given.quotas ?? FAST}
        ${given.groups === undefined ? "" : `groups: ${given.groups}`}
        ${given.password === undefined ? "" : `password: ${given.password}`}
    fields: { deny: [age, sex] }
`,
  );
  const env = { ...ANY_CREDENTIALS };
  const place: Readonly<{ target?: string }> = given.alone ? {} : { target: to.uri };
  const args = ["--config", config, "--state-db", `ferry_${db}`, ...(given.alone ? ["--state", from.uri] : [])];
  const options = { source: from.uri, ...place, env, args };
  cognito.proxy.taken();
  return {
    source,
    target,
    pool,
    options,
    users: source.db(db).collection<{ _id: number }>("users"),
    namespace: `${db}.users`,
    /** A command about both sides. */
    both: (...command: string[]) =>
      ferry([...command, "--source", from.uri, ...(given.alone ? [] : ["--target", to.uri]), ...args], { env }),
    [Symbol.asyncDispose]: async () => {
      cognito.proxy.fault = () => undefined;
      cognito.proxy.limits = {};
      await Promise.all([source.close(), target.close()]);
      removeFolder(folder);
    },
  };
};

const user = (_id: number, more: Document = {}): { _id: number } & Document => ({
  _id,
  firstname: `f${_id}`,
  lastname: `l${_id}`,
  email: `u${_id}@x.example`,
  age: _id,
  sex: "F",
  ...more,
});

/** What the pool is to have of a document. */
const poolUser = ({ _id, firstname, lastname, email, plan }: Document): [string, SeenUser] => {
  const names = { given_name: firstname, family_name: lastname, ...(plan && { "custom:plan": plan }) };
  return [`user-${_id}`, { enabled: true, attributes: { email, email_verified: "true", ...names } }];
};

const poolBecomes = (
  pool: string,
  documents: readonly Document[],
  disabled: readonly Document[] = [],
): Promise<void> => {
  const gone = disabled.map(poolUser).map(([name, seen]) => [name, { ...seen, enabled: false }]);
  const wanted = Object.fromEntries([...documents.map(poolUser), ...gone]);
  return waitFor(
    async () => {
      const seen = await cognito.users(pool);
      return isDeepStrictEqual(seen, wanted) ? { done: undefined } : { seen };
    },
    { what: "the pool to have what the documents say", clock: systemClock, timeoutMs: 60_000 },
  );
};

test("101 users go to MongoDB with all fields, and to the pool without age and sex; changes follow, and cost what they must", async () => {
  await using opened = await setUp({ db: "cognitofirst" });
  const { source, target, users, pool, options, namespace } = opened;
  const documents = Array.from({ length: 101 }, (_, i) => user(i));
  await users.insertMany(documents);
  await using run = await startDirect({ ...options, include: [namespace] });
  await poolBecomes(pool, documents);
  assert.deepEqual(await target.db("cognitofirst").collection("users").find().sort({ _id: 1 }).toArray(), documents);
  assert.equal(cognito.proxy.taken()["AdminCreateUser"], 101);
  await run.says(/effect is at-least-once, since cognito:local_\w+ takes no part in transactions/);

  // Of fields that Cognito does not keep, none costs a call.
  for (let round = 0; round < 5; round++) await users.updateMany({}, { $inc: { age: 1 } });
  await users.updateOne({ _id: 3 }, { $set: { email: "new@x.example", plan: "gold" }, $unset: { notes: "" } });
  await users.deleteOne({ _id: 4 });
  const next = documents.filter(({ _id }) => _id !== 4);
  const changed = next.map((one) => (one["_id"] === 3 ? { ...one, email: "new@x.example", plan: "gold" } : one));
  await poolBecomes(pool, changed, [user(4)]);
  assert.deepEqual(cognito.proxy.taken(), { AdminUpdateUserAttributes: 1, AdminDisableUser: 1 });
  const { out: status } = await ferry(["status", "--target", options.target ?? "", ...options.args.slice(2)]);
  const [, saved = ""] = / 103 users changed +(\d+) documents needed no call/.exec(status) ?? [];
  // Each changed in five rounds, which may be one batch: with it came what changed users 3 and 4.
  assert.ok(Number(saved) >= documents.length - 2, status);

  await users.updateOne({ _id: 3 }, { $unset: { plan: "" } });
  await users.insertOne(user(200));
  const last = [...changed.map(({ plan: _, ...one }) => one), user(200)];
  await poolBecomes(pool, last, [user(4)]);
  const kept = await target.db("ferry_cognitofirst").collection("cognitoUsers").find().toArray();
  assert.equal(kept.length, 102);
  assert.ok(kept.every(({ sub }) => /^[0-9a-f-]{36}$/.test(sub)));
  await directConverged(source, target, namespace);

  // What others do to the pool: seen by ferry verify, undone by ferry repair; users that are not the route's stay.
  assert.match((await opened.both("verify")).out, /^cognitofirst-pool: 102 documents compared, all equal;/m);
  await cognito.change(pool, "user-5", { email: "theirs@x.example" });
  await cognito.remove(pool, "user-6");
  await cognito.enable(pool, "user-4");
  await cognito.create(pool, "theirs");
  cognito.proxy.taken();
  const found = await opened.both("verify");
  assert.equal(found.status, 1);
  assert.match(found.out, /^cognitofirst-pool: 102 documents compared, 3 wrong;/m);
  for (const one of [/"?_id"?.*5.* different, value at email/, /6.* missing/, /4.* extra/])
    assert.match(found.out, one);
  const { ListUsers, AdminGetUser = 0 } = cognito.proxy.taken();
  assert.equal(ListUsers, 2, "103 users on pages of 60");
  assert.ok(AdminGetUser < 12, `only those that differ are read one by one: ${AdminGetUser}`);
  assert.match((await opened.both("repair", "--apply")).out, /2 written again, 1 deleted/);
  assert.match((await opened.both("verify")).out, /^cognitofirst-pool: 102 documents compared, all equal;/m);
  assert.deepEqual((await cognito.users(pool))["theirs"], { enabled: true, attributes: {} });
  const { status: written, err } = await opened.both("receipt");
  assert.equal(written, 0, err);
  assert.match(
    err,
    /^ferry: cognito:local_\w+: this works on collections; `ferry verify --once` compares other targets$/m,
  );
});

test("without a route to MongoDB no target is needed: ferry's state is where --state says, also on the source", async () => {
  await using opened = await setUp({ db: "cognitoalone", alone: true, groups: "roles", password: "secret" });
  const { users, pool, options, namespace } = opened;
  for (const group of ["admins", "editors"]) await cognito.createGroup(pool, group);
  const documents = Array.from({ length: 5 }, (_, i) => user(i, { roles: ["editors"], secret: `Passw0rd-of-${i}` }));
  await users.insertMany(documents);
  const withoutState = options.args.slice(0, -2);
  for (const command of [
    ["run", "--source", options.source],
    ["worker", "--kafka", "127.0.0.1:9"],
  ]) {
    const refused = await ferry([...command, ...withoutState], options);
    assert.equal(refused.status, 64);
    assert.match(refused.err, /FERRY_USAGE: state is not set, .*no route goes to MongoDB, so give --state/);
  }
  const stateless = await ferry(["check", "--source", options.source, ...withoutState], options);
  assert.match(stateless.out, /FAIL +state +FERRY_USAGE: state is not set/);
  const { out: checked } = await opened.both("check");
  assert.match(checked, /^ok +state +is writable$/m);
  assert.match(checked, /^ok +sink .*can take its documents/m);
  cognito.proxy.taken();
  await using run = await startDirect({ ...options, include: [namespace] });
  await poolBecomes(pool, documents);
  await run.says(/at-least-once, since cognito:local_\w+ takes no part in transactions/);
  await waitFor(
    async () => {
      const seen = cognito.proxy.calls.filter(({ action }) => action === "AdminSetUserPassword").length;
      return seen === documents.length ? { done: undefined } : { seen };
    },
    { what: "each user to get a password", clock: systemClock, timeoutMs: 10_000 },
  );
  assert.ok(await cognito.signsIn(pool, "user-3", "Passw0rd-of-3"));
  cognito.proxy.taken();
  assert.doesNotMatch(run.log(), /Passw0rd/);
  await users.updateMany({}, { $inc: { age: 1 } });
  await users.updateOne({ _id: 2 }, { $set: { plan: "gold" } });
  const changed = documents.map((one) => (one["_id"] === 2 ? { ...one, plan: "gold" } : one));
  await poolBecomes(pool, changed);
  const { AdminSetUserPassword, AdminUpdateUserAttributes } = cognito.proxy.taken();
  assert.deepEqual([AdminSetUserPassword, AdminUpdateUserAttributes], [undefined, 1]);
  assert.match((await ferry(["status", ...options.args.slice(2)])).out, /^cognitoalone-pool +pool local_\w+ +6 users/m);

  // Verified and repaired, groups included; what works on collections says so.
  assert.match((await opened.both("verify")).out, /^cognitoalone-pool: 5 documents compared, all equal;/m);
  await cognito.leaveGroup(pool, "user-1", "editors");
  await cognito.change(pool, "user-3", { given_name: "other" });
  assert.match((await opened.both("verify")).out, /^cognitoalone-pool: 5 documents compared, 2 wrong;/m);
  assert.match((await opened.both("repair", "--apply")).out, /2 written again, 0 deleted/);
  assert.match((await opened.both("verify")).out, /^cognitoalone-pool: 5 documents compared, all equal;/m);
  for (const command of [["receipt"], ["verify", "--follow"]]) {
    const refused = await opened.both(...command);
    assert.equal(refused.status, 64);
    assert.match(refused.err, /FERRY_USAGE: cognito:local_\w+: this works on collections; `ferry verify --once`/);
  }
  const { err } = await opened.both("finalize", "--allow-writes");
  assert.equal((await run.exited).code, 0, err);
});

test("with Kafka a pool alone is captured, applied, verified and repaired without a target", async () => {
  await using opened = await setUp({ db: "cognitokafka", alone: true });
  const { users, pool, options, namespace } = opened;
  const kafka = (await sharedKafka()).bootstrap;
  const documents = Array.from({ length: 20 }, (_, i) => user(i));
  await users.insertMany(documents);
  await using _capture = await startCapture({ ...options, kafka, include: [namespace] });
  await using _worker = await startWorker({ ...options, args: [...options.args, "--topics", namespace], kafka });
  await poolBecomes(pool, documents);
  await users.deleteOne({ _id: 0 });
  await poolBecomes(pool, documents.slice(1), documents.slice(0, 1));
  const through = (...command: string[]) => opened.both(...command, "--kafka", kafka);
  assert.match((await through("verify")).out, /^cognitokafka-pool: 19 documents compared, all equal;/m);
  await cognito.remove(pool, "user-7");
  await cognito.enable(pool, "user-0");
  assert.match((await through("verify")).out, /^cognitokafka-pool: 19 documents compared, 2 wrong;/m);
  assert.match((await through("repair", "--apply")).out, /1 written again, 1 deleted/);
  assert.match((await through("verify")).out, /^cognitokafka-pool: 19 documents compared, all equal;/m);
});

test("a document that cannot be a user becomes a dead letter that names the attribute, and the others go on", async () => {
  await using opened = await setUp({ db: "cognitoletter", groups: "roles" });
  const { target, users, pool, options, namespace } = opened;
  for (const group of ["admins", "editors"]) await cognito.createGroup(pool, group);
  await users.insertMany([user(1, { roles: ["editors", "admins"] }), user(2, { email: "none" }), user(3)]);
  await using _run = await startDirect({ ...options, include: [namespace] });
  await poolBecomes(pool, [user(1), user(3)]);
  const letters = (): Promise<Document[]> =>
    target.db("ferry_cognitoletter").collection("deadLetters").find().toArray();
  const [letter] = await letters();
  assert.equal(letter?.["code"], "FERRY_COGNITO_REJECTED");
  assert.match(letter?.["reason"], /email is not an e-mail address/);
  assert.deepEqual(await cognito.groupsOf(pool, "user-1"), ["admins", "editors"]);
  await users.updateOne({ _id: 1 }, { $set: { roles: "admins", email: "next@x.example" } });
  await poolBecomes(pool, [user(1, { email: "next@x.example" }), user(3)]);
  await waitFor(
    async () => {
      const seen = await cognito.groupsOf(pool, "user-1");
      return isDeepStrictEqual(seen, ["admins"]) ? { done: undefined } : { seen };
    },
    { what: "the user to have left a group", clock: systemClock, timeoutMs: 10_000 },
  );
});

test("quotas, failures, cut connections and late answers end in the same pool", async () => {
  await using opened = await setUp({
    db: "cognitostorm",
    quotas: "{ UserCreation: 90, UserUpdate: 60, UserRead: 75 }",
  });
  const { users, pool, options, namespace } = opened;
  const documents = Array.from({ length: 60 }, (_, i) => user(i));
  await users.insertMany(documents);
  const random = seeded(testSeed());
  const faults = ["throttle", "fail", "cut-before", "cut-after", "slow"] as const;
  cognito.proxy.limits = { UserCreation: 60, UserUpdate: 40, UserRead: 50 }; // others use the account as well
  cognito.proxy.fault = ({ username }) => (username !== "" && random() < 0.4 ? oneOf(random, faults) : undefined);
  await using _run = await startDirect({ ...options, include: [namespace] });
  await poolBecomes(pool, documents);
  for (const one of documents) await users.updateOne({ _id: one["_id"] }, { $set: { plan: `p${one["_id"]}` } });
  await poolBecomes(
    pool,
    documents.map((one) => ({ ...one, plan: `p${one["_id"]}` })),
  );
});

test("killed in the middle of a user's change, the next process brings the pool to what the documents say", async () => {
  await using opened = await setUp({ db: "cognitokill" });
  const { users, pool, options, namespace } = opened;
  const documents = Array.from({ length: 40 }, (_, i) => user(i));
  await users.insertMany(documents);
  for (const fault of ["user-noted:7", "user-changed:15", "before-commit:1"]) {
    const env = { ...options.env, FERRY_FAULT: fault };
    await using run = await startDirect({ ...options, env, include: [namespace] });
    await run.exited;
  }
  await users.updateOne({ _id: 5 }, { $set: { plan: "late" } });
  await users.deleteOne({ _id: 6 });
  await using _run = await startDirect({ ...options, include: [namespace] });
  const left = documents
    .filter(({ _id }) => _id !== 6)
    .map((one) => (one["_id"] === 5 ? { ...one, plan: "late" } : one));
  await poolBecomes(pool, left, [user(6)]);
});

test("behind Kafka a pool's quota holds up its own route, and not the one beside it", async () => {
  await using opened = await setUp({ db: "cognitoworker", quotas: "{ UserCreation: 8 }" });
  const { target, pool, options } = opened;
  const broker = await sharedKafka();
  await using topic = await TestTopic.create(broker.bootstrap, "cognitoworker.users", 2);
  const documents = Array.from({ length: 60 }, (_, i) => user(i));
  await topic.send(documents.map((doc) => ({ op: "copy", doc })));
  await using _worker = await startWorker({ ...options, kafka: broker.bootstrap });
  await waitFor(
    async () => {
      const seen = await target.db("cognitoworker").collection("users").countDocuments();
      return seen === documents.length ? { done: undefined } : { seen };
    },
    { what: "the collection to have everything", clock: systemClock, timeoutMs: 30_000 },
  );
  assert.ok(Object.keys(await cognito.users(pool)).length < documents.length);
  await poolBecomes(pool, documents);
  const times = cognito.proxy.calls.filter(({ action }) => action === "AdminCreateUser").map(({ at }) => at);
  const seconds = (Math.max(...times) - Math.min(...times)) / 1000;
  const theory = documents.length / 8;
  assert.ok(seconds > 0.9 * theory && seconds < 1.3 * theory, `${seconds} s, by the quota ${theory} s`);
});

test("what cannot work is refused by ferry check, in one clear sentence each, and before ferry run writes anything", async () => {
  const byEmail = await cognito.createPool({ UsernameAttributes: ["email"] });
  const requiring = await cognito.createPool({
    Schema: [{ Name: "nickname", AttributeDataType: "String", Mutable: true, Required: true }],
  });
  const cases: [setup: Omit<Setup, "db">, env: Record<string, string>, sentence: RegExp][] = [
    [{ pool: "local_missing" }, {}, /FERRY_COGNITO_(POOL|ACCESS): .*local_missing/],
    [{ attributes: "{ email: email, custom:rank: rank }" }, {}, /has no attribute custom:rank/],
    [{ pool: byEmail, attributes: "{ email: email }" }, {}, /its users have no username but email/],
    [{}, { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" }, /FERRY_COGNITO_ACCESS: .*credentials/i],
    [{ endpoint: "http://127.0.0.1:9" }, {}, /FERRY_COGNITO_UNREACHABLE: .*ECONNREFUSED/],
    [{ region: false }, {}, /FERRY_COGNITO_ACCESS: .*Region is missing/],
    [{ pool: requiring, attributes: "{ email: email }" }, {}, /it requires nickname, which the route's attributes do/],
    [
      { pool: requiring, attributes: "{ email: email, nickname: nick }" },
      {},
      /would refuse 1 of 1 sampled documents, the first one because nickname is required by the pool/,
    ],
  ];
  for (const [setup, env, sentence] of cases) {
    await using opened = await setUp({ db: "cognitorefused", ...setup });
    Object.assign(opened.options.env, env);
    await opened.users.replaceOne({ _id: 1 }, user(1), { upsert: true });
    const checked = await opened.both("check");
    assert.equal(checked.status, 1, checked.out);
    assert.match(checked.out, new RegExp(`FAIL +sink .*${sentence.source}`, sentence.flags));
  }
  {
    await using opened = await setUp({ db: "cognitorefused", attributes: "{ email: email, custom:rank: rank }" });
    const added = await opened.both("check", "--create-attributes");
    assert.match(added.out, /ok +sink .*can take its documents/);
    assert.match((await opened.both("check")).out, /ok +sink .*can take its documents/, "they are in the pool now");
  }
  // A database of its own: the checks above have written their probe, and removed it.
  await using opened = await setUp({ db: "cognitounwritten", attributes: "{ email: email, custom:rank: rank }" });
  await opened.users.insertOne(user(1));
  const refused = await endDirect({ ...opened.options, include: [opened.namespace] });
  assert.equal(refused.status, 76);
  assert.match(refused.err, /FERRY_COGNITO_POOL: pool local_\w+: it has no attribute custom:rank/);
  for (const [flags, says] of [
    [["--recopy"], /FERRY_TARGET_LEFTOVERS: route cognitounwritten-pool: --recopy is not possible.*list its documents/],
    [["--conflict", "merge"], /FERRY_TARGET_POLICY: route cognitounwritten-pool: --conflict merge is not possible/],
  ] as const) {
    const args = [...opened.options.args, ...flags];
    const unfit = await endDirect({ ...opened.options, include: [opened.namespace], args });
    assert.equal(unfit.status, 64);
    assert.match(unfit.err, says);
  }
  const { databases } = await opened.target.db("admin").admin().listDatabases();
  assert.ok(!databases.some(({ name }) => ["cognitounwritten", "ferry_cognitounwritten"].includes(name)));
});
