import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Int32 } from "bson";
import { type Collection, type Document, MongoClient } from "mongodb";
import type { WorkerRecord, WorkerReport } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ferry } from "../harness/ferry.ts";
import { removeFolder, tempFolder } from "../harness/folders.ts";
import { TestTopic } from "../harness/loadTopic.ts";
import { mongo, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { runWorker, startWorker } from "../harness/worker.ts";

const open = async (coll: string, rules: string, partitions = 2) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const topic = await TestTopic.create(broker.bootstrap, `test.${coll}`, partitions);
  const folder = tempFolder().path;
  const config = join(folder, "ferry.yaml");
  writeFileSync(config, `routes:\n  - { from: test.${coll}${rules === "" ? "" : `, ${rules}`} }\n`);
  return {
    client,
    topic,
    target: client.db("test").collection<Document>(coll),
    options: { target: server.uri, kafka: broker.bootstrap, args: ["--config", config] },
    conflicts: async (...flags: string[]): Promise<Document[]> => {
      const { out } = await ferry(["conflicts", "--route", `test.${coll}`, "--json", ...flags, "--target", server.uri]);
      return JSON.parse(out) as Document[];
    },
    [Symbol.asyncDispose]: async () => {
      await topic[Symbol.asyncDispose]();
      await client.close();
      removeFolder(folder);
    },
  };
};

const user = (n: number, more: Document = {}): Document => ({
  _id: new Int32(n),
  name: `n${n}`,
  city: `c${n}`,
  ...more,
});

const all = (target: Collection): Promise<Document[]> => target.find().sort({ _id: 1 }).toArray();

test("merge: the source owns the fields it sends, the target's own survive, and each conflict is recorded", async () => {
  await using opened = await open("merged", "conflict: merge");
  const { client, topic, target, options, conflicts } = opened;
  await topic.send(
    [1, 2, 3, 4, 5, 6].map((n) => ({ op: "copy", doc: user(n, { address: { zip: "z", street: "s" } }) })),
  );
  await using _worker = await startWorker(options);
  await topic.applied(client);
  await target.updateOne({ _id: 1 as never }, { $set: { loyalty: "gold", "address.note": "ring twice" } });
  await target.updateOne({ _id: 2 as never }, { $set: { city: "elsewhere" } });
  await target.updateOne({ _id: 3 as never }, { $set: { loyalty: "iron" } });
  await target.deleteOne({ _id: 4 as never });
  await target.updateOne({ _id: 5 as never }, { $set: { name: "changed" } });
  await target.insertOne({ _id: new Int32(7) as never, loyalty: "new" });
  await topic.send([
    { op: "update", doc: { _id: new Int32(1), name: "new", address: { zip: "y" } } }, // city and street are gone
    { op: "update", doc: user(2, { city: "c2b" }) },
    { op: "delete", _id: new Int32(3) },
    { op: "replace", doc: user(4) },
    { op: "delete", _id: new Int32(5) },
    { op: "update", doc: user(6, { more: true }) },
    { op: "insert", doc: user(7) },
  ]);
  await topic.applied(client);
  assert.deepEqual(await all(target), [
    { _id: 1, name: "new", address: { zip: "y", note: "ring twice" }, loyalty: "gold" },
    { _id: 2, name: "n2", city: "c2b" },
    { _id: 3, loyalty: "iron" },
    { _id: 4, name: "n4", city: "c4" },
    { _id: 6, name: "n6", city: "c6", more: true },
    { _id: 7, name: "n7", city: "c7", loyalty: "new" },
  ]);
  const told = await conflicts();
  const brief = told.map(({ key, winner, fields }) => [key, winner, fields]).sort();
  assert.deepEqual(brief, [
    [2, "source", ["city"]],
    [3, "target", []],
    [4, "source", []],
    [5, "source", ["name"]],
  ]);
  const [city] = told.filter(({ key }) => key === 2);
  assert.equal(city?.["target"].city, "elsewhere");
  assert.equal(city?.["source"].city, "c2b");
  // Told once: the source's next change of the same field is no conflict with what it has overwritten.
  await topic.send([{ op: "update", doc: user(2, { city: "c2c" }) }]);
  await topic.applied(client);
  assert.equal((await conflicts()).length, 4);
});

test("keep-target: a document that the target changed is not overwritten, the others follow the source", async () => {
  await using opened = await open("kept", "conflict: keep-target");
  const { client, topic, target, options, conflicts } = opened;
  await topic.send([1, 2, 3, 4].map((n) => ({ op: "copy", doc: user(n) })));
  await using _worker = await startWorker(options);
  await topic.applied(client);
  await target.updateOne({ _id: 1 as never }, { $set: { name: "mine" } });
  await target.deleteOne({ _id: 2 as never });
  await target.updateOne({ _id: 3 as never }, { $set: { name: "n3" } }); // changes nothing
  await topic.send([
    { op: "update", doc: user(1, { city: "x" }) },
    { op: "update", doc: user(2, { city: "x" }) },
    { op: "update", doc: user(3, { city: "x" }) },
    { op: "delete", _id: new Int32(4) },
    { op: "delete", _id: new Int32(1) },
  ]);
  await topic.applied(client);
  assert.deepEqual(await all(target), [
    { _id: 1, name: "mine", city: "c1" },
    { _id: 3, name: "n3", city: "x" },
  ]);
  const told = await conflicts();
  assert.ok(told.every(({ winner, policy }) => winner === "target" && policy === "keep-target"));
  assert.deepEqual([...new Set(told.map(({ key }) => key))].sort(), [1, 2]);
});

test("a target that has documents is refused until a policy is named; then they count as the target's own", async () => {
  await using opened = await open("occupied", "");
  const { client, topic, target, options, conflicts } = opened;
  await target.insertMany([
    { _id: new Int32(1) as never, name: "mine", extra: 1 },
    { _id: new Int32(9) as never, name: "nine" },
  ]);
  await topic.send([1, 2].map((n) => ({ op: "copy", doc: user(n) })));
  const refused = await runWorker(options);
  assert.equal(refused.code, 76);
  assert.match(refused.stderr, /FERRY_TARGET_NOT_EMPTY.*test\.occupied has documents/);
  assert.equal(await target.countDocuments(), 2);
  const named = { ...options, args: [...options.args, "--conflict", "keep-target"] };
  {
    await using _worker = await startWorker(named);
    await topic.applied(client);
  }
  assert.deepEqual(await all(target), [
    { _id: 1, name: "mine", extra: 1 },
    { _id: 2, name: "n2", city: "c2" },
    { _id: 9, name: "nine" },
  ]);
  assert.deepEqual(
    (await conflicts()).map(({ key, winner }) => [key, winner]),
    [[1, "target"]],
  );
  // merge after keep-target: both know what the target's services wrote, also while no worker ran
  await target.updateOne({ _id: 2 as never }, { $set: { loyalty: "gold" } });
  await topic.send([
    { op: "update", doc: user(2, { city: "x" }) },
    { op: "update", doc: user(1, { city: "x" }) },
  ]);
  await using _worker = await startWorker({ ...options, args: [...options.args, "--conflict", "merge"] });
  await topic.applied(client);
  assert.deepEqual(await all(target), [
    { _id: 1, name: "n1", city: "x", extra: 1 },
    { _id: 2, name: "n2", city: "x", loyalty: "gold" },
    { _id: 9, name: "nine" },
  ]);
});

test("a policy that cannot be followed is refused: after a start as mirror, and on a standalone target", async () => {
  await using opened = await open("mirrored", "");
  const { client, topic, options } = opened;
  await topic.send([{ op: "copy", doc: user(1) }]);
  {
    await using _worker = await startWorker(options);
    await topic.applied(client);
  }
  const refused = await runWorker({ ...options, args: [...options.args, "--conflict", "merge"] });
  assert.equal(refused.code, 64);
  assert.match(refused.stderr, /FERRY_TARGET_POLICY.*started as mirror/);
  await using alone = await mongo({ replSet: null });
  const standalone = await runWorker({ ...options, target: alone.uri, args: [...options.args, "--conflict", "merge"] });
  assert.equal(standalone.code, 64);
  assert.match(standalone.stderr, /FERRY_TARGET_POLICY.*--conflict merge.*standalone/);
  await using there = await new MongoClient(alone.uri).connect();
  assert.deepEqual(await there.db("ferry").listCollections().toArray(), [], "nothing was written");
});

test("a drop on the source does not take the documents of the target's own services along", async () => {
  await using opened = await open("dropping", "conflict: merge", 1);
  const { client, topic, target, options } = opened;
  await topic.send([{ op: "copy", doc: user(1) }]);
  await using worker = await startWorker(options);
  await topic.applied(client);
  await topic.drop(0);
  await worker.says("FERRY_APPLY_DDL");
  assert.equal(await target.countDocuments(), 1);
});

test("a target that becomes slow is written to less, and more again when it has recovered", async () => {
  await using opened = await open("paced", "");
  const { client, topic, options } = opened;
  await topic.send([{ op: "copy", doc: user(1) }]);
  await using worker = await startWorker({ ...options, args: [...options.args, "--target-latency-ms", "100"] });
  await topic.applied(client);
  const id = /"worker":"([^"]+)"/.exec(worker.log())?.[1] ?? "";
  const workers = client.db("ferry").collection<WorkerRecord>("workers");
  const share = (what: string, holds: (throttle: NonNullable<WorkerReport["throttle"]>) => boolean): Promise<void> =>
    waitFor(
      async () => {
        const seen = (await workers.findOne({ _id: id }))?.report.throttle;
        return seen !== null && seen !== undefined && holds(seen) ? { done: undefined } : { seen };
      },
      { what, clock: systemClock, timeoutMs: 30_000 },
    );
  await share("an answer of the target", ({ latencyMs }) => latencyMs !== null);
  const slow = { failCommands: ["update"], appName: `${id}-probe`, blockConnection: true, blockTimeMS: 300 };
  const failPoint = (mode: string): Promise<Document> =>
    client.db("admin").command({ configureFailPoint: "failCommand", mode, data: slow });
  await failPoint("alwaysOn");
  await share("less than half of the time", (throttle) => throttle.share < 0.5 && (throttle.latencyMs ?? 0) >= 300);
  await topic.send([{ op: "insert", doc: user(2) }]);
  await topic.applied(client); // slowly, and not never
  await failPoint("off");
  await share("more than half of the time", (throttle) => throttle.share > 0.5);
});
