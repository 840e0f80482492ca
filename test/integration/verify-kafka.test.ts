import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Double, Int32, Long, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { startCapture } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";
import { recommendedConnector } from "../harness/workerConnector.ts";

type Route = Readonly<{
  route: string;
  documents: number;
  wrong: number;
  excused: number;
  behind: number;
  examples: readonly Readonly<{ key: { _id: unknown }; kind: string; how?: string; path?: string; ageMs: number }>[];
}>;

const spelled = ({ route, examples }: Route): string[] =>
  examples.map(({ key, kind, how = "", path = "" }) =>
    `${route} ${JSON.stringify(key._id)} ${kind} ${how} ${path}`.trim(),
  );

const setUp = async (stateDb: string, routes: string) => {
  const [source, target, broker] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  const stack = new AsyncDisposableStack();
  const folder = stack.use(tempFolder());
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const config = join(folder.path, "ferry.yaml");
  writeFileSync(config, routes);
  const urls = { source: source.uri, target: target.uri, kafka: broker.bootstrap };
  const flags = ["--source", urls.source, "--target", urls.target, "--kafka", urls.kafka, "--state-db", stateDb];
  return {
    ...{ here, there, urls },
    args: ["--state-db", stateDb, "--config", config],
    verify: async (...more: string[]) => {
      const { status, out, err } = await ferry(["verify", ...flags, "--config", config, "--json", ...more]);
      return { status, err, routes: (JSON.parse(out || '{"routes":[]}') as { routes: Route[] }).routes };
    },
    /** Waits until a document is on the target. */
    arrives: (db: string, coll: string, filter: object): Promise<void> =>
      waitFor(
        async () => {
          const found = await there.db(db).collection(coll).findOne(filter);
          return found === null ? { seen: "not there" } : { done: undefined };
        },
        { what: `${JSON.stringify(filter)} in ${db}.${coll}`, clock: systemClock, timeoutMs: 60_000 },
      ),
    /** Waits until so many documents are there: partitions arrive in any order. */
    holds: (db: string, coll: string, count: number): Promise<void> =>
      waitFor(
        async () => {
          const found = await there.db(db).collection(coll).countDocuments();
          return found === count ? { done: undefined } : { seen: found };
        },
        { what: `${count} documents in ${db}.${coll}`, clock: systemClock, timeoutMs: 60_000 },
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

const people = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ _id: i as never, name: `n${i}`, n: new Int32(i), z: new Double(-0) }));

test("through ferry capture and a worker: merge, keep-target, drift and a renamed namespace; what waits is behind and not wrong", async () => {
  await using both = await setUp(
    "ferry_vk",
    `routes:
  - { from: vk.people, to: { mongodb: vk.persons }, conflict: merge, fields: { rename: { name: fullname } } }
  - { from: vk.kept, conflict: keep-target }
  - { from: vk.drifting, drift: { newField: drop-and-report } }
`,
  );
  const { here, there, urls, args, verify, arrives, holds } = both;
  const [db, copy] = [here.db("vk"), there.db("vk")];
  for (const name of ["people", "kept", "drifting"]) await db.collection(name).insertMany(people(2000));
  await using capture = await startCapture({ ...urls, include: ["vk.*"], args: [...args, "--partitions", "2"] });
  await using worker = await startWorker({ ...urls, leaseMs: 5000, args: [...args, "--topics", "vk.*"] });
  await capture.says("the change stream continues");
  for (const name of ["persons", "kept", "drifting"]) await holds("vk", name, 2000);
  await copy.collection("persons").updateOne({ _id: 1 as never }, { $set: { loyalty: "gold" } });
  await copy.collection("persons").insertOne({ _id: "theirs" as never, fullname: "of the target" });
  await copy.collection("kept").updateOne({ _id: 2 as never }, { $set: { name: "theirs" } });
  await db.collection("kept").updateOne({ _id: 2 as never }, { $set: { name: "the source's" } });
  await db.collection("drifting").updateOne({ _id: 3 as never }, { $set: { news: 1 } });
  await db.collection("drifting").insertOne({ _id: "last" as never, name: "last" });
  await arrives("vk", "drifting", { _id: "last" });
  const right = await verify();
  assert.equal(right.status, 0, right.err + worker.logTail(5));
  assert.deepEqual(
    right.routes.map(({ route, documents, excused }) => [route, documents, excused]),
    [
      ["vk.drifting", 2001, 0],
      ["vk.kept", 2000, 1],
      ["vk.people>vk.persons", 2000, 1],
    ],
  );

  worker.kill("SIGSTOP");
  await db.collection("drifting").updateOne({ _id: 9 as never }, { $set: { name: "on its way" } });
  const waiting = await verify("--include", "vk.drifting", "--wait-seconds", "2");
  worker.kill("SIGCONT");
  assert.equal(waiting.status, 75, waiting.err);
  assert.deepEqual([waiting.routes[0]?.wrong, waiting.routes[0]?.behind], [0, 1]);

  await copy.collection("persons").updateOne({ _id: 4 as never }, { $set: { fullname: "n5" } });
  await copy.collection("drifting").updateOne({ _id: 3 as never }, { $set: { news: 1 } }); // leaked
  await copy
    .collection("drifting")
    .updateOne({ _id: 5 as never }, { $set: { n: Long.fromNumber(5), z: new Double(0) } });
  await copy.collection("drifting").deleteOne({ _id: 6 as never });
  const wrong = await verify();
  assert.equal(wrong.status, 1, wrong.err);
  assert.deepEqual(wrong.routes.flatMap(spelled).sort(), [
    "vk.drifting 3 different value news",
    "vk.drifting 5 different value z",
    "vk.drifting 6 missing",
    "vk.people>vk.persons 4 different value fullname",
  ]);
  assert.ok(wrong.routes.flatMap(({ examples }) => examples).every(({ ageMs }) => ageMs >= 0));
});

test("through the official connector and a worker: what differs is wrong when it has had the time that a connector takes", async () => {
  await using both = await setUp("ferry_vc", "routes:\n  - { from: vc.people }\n");
  const { here, there, urls, args, verify, holds } = both;
  const connect = await sharedConnect();
  await here.db("vc").collection("people").insertMany(people(500));
  using folder = tempFolder();
  const file = join(folder.path, "connector.json");
  writeFileSync(file, JSON.stringify({ name: "vc", config: recommendedConnector(urls.source, "vc", "people") }));
  const flags = ["--source", urls.source, "--target", urls.target, "--kafka", urls.kafka, "--state-db", "ferry_vc"];
  const begun = await ferry(["cx", file, ...flags, "--connect", connect.url]);
  assert.equal(begun.status, 0, begun.err);
  await using worker = await startWorker({ ...urls, leaseMs: 5000, args: [...args, "--topics", "vc.*"] });
  await holds("vc", "people", 500);
  await there
    .db("vc")
    .collection("people")
    .deleteOne({ _id: 7 as never });
  await here
    .db("vc")
    .collection("people")
    .updateOne({ _id: 8 as never }, { $set: { name: "just now" } });
  const { status, err, routes } = await verify();
  assert.equal(status, 1, err + worker.logTail(5));
  assert.deepEqual(routes.flatMap(spelled), ["vc.people 7 missing"]);
  await ferry(["del", "vc", "--connect", connect.url]);
});
