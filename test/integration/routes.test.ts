import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Int32 } from "bson";
import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { booksOf } from "../harness/books.ts";
import { ferry } from "../harness/ferry.ts";
import { removeFolder, tempFolder } from "../harness/folders.ts";
import { TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { runWorker, startWorker } from "../harness/worker.ts";

const open = async (name: string, yaml: string, partitions = 1) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const topic = await TestTopic.create(broker.bootstrap, name, partitions);
  const folder = tempFolder().path;
  const config = join(folder, "ferry.yaml");
  writeFileSync(config, yaml);
  const options = { target: server.uri, kafka: broker.bootstrap, args: ["--config", config] };
  const run = (...args: string[]) => ferry([...args, "--target", server.uri]);
  return {
    client,
    topic,
    config,
    options,
    run,
    uri: server.uri,
    kafka: broker.bootstrap,
    [Symbol.asyncDispose]: async () => {
      await topic[Symbol.asyncDispose]();
      await client.close();
      removeFolder(folder);
    },
  };
};

const all = (client: MongoClient, ns: string): Promise<Document[]> => {
  const [db = "", coll = ""] = ns.split(".");
  return client.db(db).collection(coll).find().sort({ _id: 1 }).toArray();
};

const user = (_id: number, more: Document = {}): Document => ({
  _id: new Int32(_id),
  firstname: `f${_id}`,
  lastname: `l${_id}`,
  email: `u${_id}@example.com`,
  active: true,
  ...more,
});

test("two routes read one topic, each with its own rules, namespace, positions and books", async () => {
  await using opened = await open(
    "test.routed",
    `
routes:
  - from: test.routed
  - name: slim
    from: test.routed
    to: { mongodb: shop.members }
    fields: { allow: [email, address.zip], rename: { email: mail } }
    where: { active: true }
`,
  );
  const { client, topic, options, kafka } = opened;
  await topic.send(
    [user(1, { address: { zip: "1", street: "x" } }), user(2, { active: false }), user(3)].map((doc) => ({
      op: "copy",
      doc,
    })),
  );
  await using _worker = await startWorker(options);
  await topic.equals(client);
  assert.deepEqual(await all(client, "shop.members"), [
    { _id: 1, mail: "u1@example.com", address: { zip: "1" } },
    { _id: 3, mail: "u3@example.com" },
  ]);
  // One stops matching and goes, one begins to match and comes whole, one is deleted.
  await topic.send([
    { op: "update", doc: user(1, { active: false }) },
    { op: "update", doc: user(2, { address: { zip: "2" } }) },
    { op: "delete", _id: new Int32(3) },
    { op: "insert", doc: user(4, { active: false }) },
  ]);
  await topic.equals(client);
  assert.deepEqual(await all(client, "shop.members"), [{ _id: 2, mail: "u2@example.com", address: { zip: "2" } }]);
  const lanes = await client.db("ferry").collection("lanes").distinct("route", { topic: topic.topic });
  assert.deepEqual(lanes.sort(), ["slim", "test.routed"]);
  await booksOf(client, kafka, topic.topic, { exactlyOnce: false });
  const status = await client.db("ferry").collection("lanes").find({ route: "slim" }).toArray();
  const filtered = status.reduce((sum, lane) => sum + Number(lane["counts"].filtered), 0);
  assert.equal(filtered, 2); // the copy of 2 and the insert of 4
});

test("rules that are changed later count from then on, and a note says so; another target under the same name is refused", async () => {
  const rules = (deny: string, to = "shop.ruled"): string =>
    `routes:\n  - { name: ruled, from: test.ruled, to: { mongodb: ${to} }, fields: { deny: [${deny}] } }\n`;
  await using opened = await open("test.ruled", rules("email"));
  const { client, topic, options, config, run } = opened;
  const apply = async (documents: Document[], ...args: string[]): Promise<void> => {
    await using _worker = await startWorker({ ...options, args: [...options.args, ...args] });
    await topic.send(documents.map((doc) => ({ op: "insert", doc })));
    await topic.applied(client);
  };
  const notes = async (): Promise<Document[]> => {
    const { out } = await run("status", "--json");
    return (JSON.parse(out) as { notes: Document[] }).notes.filter(({ route }) => route === "ruled");
  };
  await apply([user(1)]);
  assert.deepEqual(await notes(), []);
  writeFileSync(config, rules("lastname"));
  await apply([user(2)]);
  assert.deepEqual(
    (await all(client, "shop.ruled")).map((document) => Object.keys(document)),
    [
      ["_id", "firstname", "lastname", "active"],
      ["_id", "firstname", "email", "active"],
    ],
  );
  assert.deepEqual(
    (await notes()).map(({ code }) => code),
    ["FERRY_ROUTE_RULES"],
  );
  await apply([user(3)], "--accept", "FERRY_ROUTE_RULES");
  assert.deepEqual(await notes(), []);
  writeFileSync(config, rules("lastname", "shop.elsewhere"));
  await topic.send([{ op: "insert", doc: user(4) }]);
  const refused = await runWorker(options);
  assert.equal(refused.code, 64);
  assert.match(refused.stderr, /FERRY_ROUTE_MOVED: ruled has written to shop\.ruled, and now names shop\.elsewhere/);
  assert.deepEqual(await all(client, "shop.elsewhere"), []);
});

test("two workers with different topics: each takes every partition of its own", async () => {
  const yaml = "routes:\n  - from: test.apart\n  - from: test.beside\n";
  await using opened = await open("test.apart", yaml);
  const { client, topic, options, kafka } = opened;
  await using other = await TestTopic.create(kafka, "test.beside", 1);
  for (const each of [topic, other]) await each.send([{ op: "copy", doc: user(1) }]);
  const only = (name: string) => ({ ...options, args: [...options.args, "--topics", name] });
  await using _one = await startWorker(only("test.apart"));
  await using _two = await startWorker(only("test.beside"));
  await Promise.all([topic, other].map((each) => each.equals(client)));
});

test("a configuration that is wrong is refused before anything is touched", async () => {
  await using opened = await open("test.misrouted", "routes:\n  - from: test.misrouted\n    fields: { deny: [_id] }\n");
  const { options, config, client, topic } = opened;
  await topic.send([{ op: "copy", doc: user(1) }]);
  const refused = await runWorker(options);
  assert.equal(refused.code, 64);
  assert.match(
    refused.stderr,
    /FERRY_CONFIG: route test\.misrouted: deny: a rule on _id would break the documents' identity/,
  );
  assert.deepEqual(await all(client, "test.misrouted"), []);
  const checked = await ferry(["config", "check", "--config", config]);
  assert.equal(checked.status, 64);
});

test("a new field is reported with its policy's outcome, and held documents go on when it is decided", async () => {
  await using opened = await open(
    "test.drifting",
    `
routes:
  - { name: passing, from: test.drifting, to: { mongodb: drift.passing } }
  - { name: dropping, from: test.drifting, to: { mongodb: drift.dropping }, drift: { newField: drop-and-report } }
  - { name: holding, from: test.drifting, to: { mongodb: drift.holding }, drift: { newField: hold, typeChange: hold } }
`,
    2,
  );
  const { client, topic, options, run } = opened;
  await topic.send(Array.from({ length: 20 }, (_, i) => ({ op: "copy", doc: user(i) }) as const));
  await using worker = await startWorker(options);
  await topic.applied(client);
  await topic.send([
    { op: "insert", doc: user(100, { sex: "F" }) },
    { op: "update", doc: user(100, { sex: "F", firstname: "later" }) },
    { op: "insert", doc: user(101, { firstname: new Int32(7) }) },
    { op: "insert", doc: user(102) },
  ]);
  await topic.applied(client);
  const ids = async (ns: string): Promise<unknown[]> =>
    (await all(client, ns)).slice(20).map(({ _id, sex }) => [_id, sex]);
  assert.deepEqual(await ids("drift.passing"), [
    [100, "F"],
    [101, undefined],
    [102, undefined],
  ]);
  assert.deepEqual(await ids("drift.dropping"), [
    [100, undefined],
    [101, undefined],
    [102, undefined],
  ]);
  assert.deepEqual(await ids("drift.holding"), [[102, undefined]]);
  await worker.says(/new field sex \(string\); its documents wait in the dead letters/);

  const timeline = JSON.parse((await run("drift", "--route", "holding", "--json")).out) as Document[];
  assert.deepEqual(
    timeline.map(({ path, type, kind, outcome, example }) => [path, type, kind, outcome, example]),
    [
      ["sex", "string", "field", "hold", { _id: 100 }],
      ["firstname", "int", "type", "hold", { _id: 101 }],
    ],
  );
  assert.match((await run("drift", "--route", "dropping")).out, /sex \(string\) +new field +drop/);
  await waitFor(
    async () => {
      const whole = JSON.parse((await run("drift", "--route", "passing", "--all", "--json")).out) as Document[];
      const email = whole.find(({ path }) => path === "email");
      const seen = [email?.["baseline"], email?.["count"]];
      return isDeepStrictEqual(seen, [true, 24]) ? { done: undefined } : { seen };
    },
    { what: "every document to be counted", clock: systemClock, timeoutMs: 10_000 },
  );

  const listed = JSON.parse((await run("dlq", "list", "--route", "holding", "--json")).out) as Document[];
  assert.deepEqual(listed.map(({ key, code }) => [key._id, code]).sort(), [
    [100, "FERRY_DRIFT_HELD"],
    [100, "FERRY_DRIFT_HELD"],
    [101, "FERRY_DRIFT_HELD"],
  ]);
  assert.match(
    (await run("drift", "decide", "holding", "sex", "pass")).out,
    /sex: written from now on; 3 held events are applied again/,
  );
  await waitFor(
    async () => {
      const seen = (await all(client, "drift.holding")).slice(20);
      // Its two events are two transactions: what is there in between is the first one's.
      return seen.length === 2 && seen[0]?.["firstname"] === "later" ? { done: undefined } : { seen };
    },
    { what: "the held document to go on", clock: systemClock, timeoutMs: 15_000 },
  );
  // Replayed events are no new ones: each document counts once.
  const counted = async (): Promise<unknown[]> => {
    const lines = JSON.parse((await run("drift", "--route", "holding", "--json")).out) as Document[];
    return lines.map(({ path, count }) => [path, count]);
  };
  const [freed] = (await all(client, "drift.holding")).slice(20);
  assert.deepEqual([freed?.["sex"], freed?.["firstname"]], ["F", "later"]);
  assert.match(
    (await run("drift", "decide", "holding", "firstname", "drop", "--type", "int")).out,
    /left out from now on/,
  );
  await waitFor(
    async () => {
      const seen = await ids("drift.holding");
      return seen.length === 3 ? { done: undefined } : { seen };
    },
    { what: "the other one too", clock: systemClock, timeoutMs: 15_000 },
  );
  await topic.send([{ op: "insert", doc: user(103, { sex: "M" }) }]);
  await topic.applied(client);
  assert.equal((await all(client, "drift.holding")).at(-1)?.["sex"], "M");
  await waitFor(
    async () => {
      const seen = await counted();
      return isDeepStrictEqual(seen, [
        ["sex", 3],
        ["firstname", 1],
      ])
        ? { done: undefined }
        : { seen };
    },
    { what: "each document to be counted once", clock: systemClock, timeoutMs: 10_000 },
  );
  assert.match((await run("dlq", "list", "--route", "holding")).out, /no dead letters/);

  // A delta alone, since this worker has no source to look documents up at.
  await topic.send([{ op: "patch", _id: new Int32(5), updatedFields: { nick: "five", firstname: "new" } }]);
  await topic.applied(client);
  const patched = async (ns: string): Promise<unknown[]> => {
    const document = (await all(client, ns)).find(({ _id }) => _id === 5);
    return [document?.["nick"], document?.["firstname"]];
  };
  assert.deepEqual(await patched("drift.passing"), ["five", "new"]);
  assert.deepEqual(await patched("drift.dropping"), [undefined, "new"]);
  assert.deepEqual(await patched("drift.holding"), [undefined, "f5"]);
  const last = (JSON.parse((await run("drift", "--route", "holding", "--json")).out) as Document[]).at(-1);
  assert.deepEqual([last?.["path"], last?.["outcome"], last?.["example"]], ["nick", "hold", { _id: 5 }]);
  await booksOf(client, opened.kafka, topic.topic, { exactlyOnce: false });
});

test("a route whose policy is to stop stops by name, and goes on when the field is decided", async () => {
  await using opened = await open("test.stopping", "routes:\n  - { from: test.stopping, drift: { newField: stop } }\n");
  const { client, topic, options, run } = opened;
  await topic.send([
    { op: "copy", doc: user(1) },
    { op: "insert", doc: user(2, { sex: "F" }) },
  ]);
  const stopped = await runWorker(options);
  assert.equal(stopped.code, 76);
  assert.match(stopped.stderr, /FERRY_DRIFT_STOP: .*new field sex \(string\)/);
  assert.equal(
    await client
      .db("test")
      .collection<Document>("stopping")
      .findOne({ _id: 2 as never }),
    null,
  );
  const decided = await run("drift", "decide", "test.stopping", "sex", "pass");
  assert.equal(decided.status, 0, `${decided.out}${decided.err}`);
  await using _worker = await startWorker(options);
  await topic.equals(client);
});

test("a route that halts does not hold the others up", async () => {
  await using opened = await open(
    "test.halting",
    `
routes:
  - { name: strict, from: test.halting, to: { mongodb: halting.strict }, drift: { newField: stop } }
  - { from: test.halting }
  - { name: misspelt, from: test.haltign }
`,
  );
  const { client, topic, options, run } = opened;
  await topic.send([{ op: "copy", doc: user(1) }]);
  await using worker = await startWorker(options);
  await topic.equals(client);
  await worker.says(
    /"route":"misspelt","topic":"test.haltign","msg":"the source topic of this route does not exist yet"/,
  );
  await topic.send([{ op: "insert", doc: user(2, { sex: "F" }) }]);
  await worker.says(/a route is halted: .*new field sex/);
  await topic.send([{ op: "insert", doc: user(3) }]);
  await waitFor(
    async () => {
      const seen = await client.db("test").collection("halting").countDocuments();
      return seen === 3 ? { done: undefined } : { seen };
    },
    { what: "the other route to go on", clock: systemClock, timeoutMs: 15_000 },
  );
  assert.equal(
    await client
      .db("halting")
      .collection<Document>("strict")
      .findOne({ _id: 3 as never }),
    null,
  );
  assert.ok(worker.isRunning());
  assert.equal((await run("drift", "decide", "strict", "sex", "pass")).status, 0);
  await worker.stop();
  await using _second = await startWorker(options);
  await topic.equals(client);
  assert.equal(await client.db("halting").collection("strict").countDocuments(), 3);
});

test("ferry filter try shows real documents before and after, and ferry config says what a file means", async () => {
  await using opened = await open(
    "test.tried",
    `
routes:
  - name: slim
    from: test.sampled
    fields: { allow: [email, address.zip], mask: { email: { keepLast: 4 } } }
    where: { active: true }
`,
  );
  const { client, config, uri } = opened;
  await client
    .db("test")
    .collection<Document>("sampled")
    .insertMany([user(1, { address: { zip: "1", street: "x" } }), user(2, { active: false })]);
  const tried = await ferry(["filter", "try", "slim", "--config", config, "--source", uri]);
  assert.equal(tried.status, 0, tried.err);
  assert.match(tried.out, /^- \{"_id":1,.*"street":"x".*\}$/m);
  assert.match(tried.out, /^\+ \{"_id":1,"email":"\*+\.com","address":\{"zip":"1"\}\}$/m);
  assert.match(tried.out, /^\+ \(left out by where\)$/m);
  assert.match(tried.out, /slim: 2 documents, 1 left out by where/);
  assert.match(tried.out, /left out: firstname \(1\), lastname \(1\), active \(1\), address\.street \(1\)/);
  assert.match(tried.out, /\d+ → \d+ bytes, \d+ % saved/);
  const facts = JSON.parse(
    (await ferry(["filter", "try", "slim", "--config", config, "--source", uri, "--json"])).out,
  ) as Document;
  assert.equal(facts["leftOut"], 1);
  const unknown = await ferry(["filter", "try", "slimm", "--config", config, "--source", uri]);
  assert.deepEqual([unknown.status, /there is no route slimm; there are slim/.test(unknown.err)], [64, true]);
  const checked = await ferry(["config", "check", "--config", config]);
  assert.match(checked.out, /^slim +test\.sampled → test\.sampled +allow 2, mask 1, where$/m);
  const schema = JSON.parse((await ferry(["config", "schema"])).out) as Document;
  assert.deepEqual(Object.keys(schema["properties"]), ["routes", "ddl"]);
});
