import assert from "node:assert/strict";
import { test } from "node:test";
import { Int32 } from "bson";
import { MongoClient } from "mongodb";
import type { DriftRecord } from "#route/drift/ledger.ts";
import { booksOf } from "../harness/books.ts";
import { type Change, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const COPIED = 40;
const STREAMED = 60;

/** Every tenth streamed document brings a field of its own. */
const changes = (): Change[] => [
  ...Array.from({ length: COPIED }, (_, i): Change => ({ op: "copy", doc: { _id: new Int32(i), name: `n${i}` } })),
  ...Array.from({ length: STREAMED }, (_, i): Change => {
    const fresh = i % 10 === 0 ? { [`new${i}`]: i } : {};
    return { op: "insert", doc: { _id: new Int32(COPIED + i), name: `n${i}`, ...fresh } };
  }),
];

test("a worker killed around the commit that carries a new field: the ledger has it, and no document is on the target without it", async (t) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  await using client = await new MongoClient(server.uri).connect();
  for (const point of ["before-commit:2", "after-commit:2", "mid-batch:6", "after-commit:9"]) {
    await t.test(point, async () => {
      const name = `test.drift_${point.replace(/\W/g, "_")}`;
      await using topic = await TestTopic.create(broker.bootstrap, name, 2);
      await topic.send(changes());
      const options = {
        target: server.uri,
        kafka: broker.bootstrap,
        args: ["--topics", name, "--batch-count", "3", "--slices", "2"],
      };
      {
        await using worker = await startWorker({ ...options, env: { FERRY_FAULT: point } });
        assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
      }
      const ledger = client.db("ferry").collection<DriftRecord>("drift");
      const [db = "", coll = ""] = name.split(".");
      const known = await ledger.distinct("path", { route: name });
      const there = await client.db(db).collection(coll).find().toArray();
      const onTarget = new Set(there.flatMap((doc) => Object.keys(doc)));
      assert.deepEqual(
        [...onTarget].filter((path) => !known.includes(path)),
        [],
      );

      await using _second = await startWorker(options);
      await topic.equals(client);
      const news = await ledger.find({ route: name, baseline: false }).sort({ path: 1 }).toArray();
      const expected = Array.from({ length: STREAMED / 10 }, (_, i) => `new${i * 10}`);
      assert.deepEqual(news.map(({ path }) => path).sort(), expected.sort());
      assert.ok(
        news.every(({ count, kind }) => Number(count) === 1 && kind === "field"),
        JSON.stringify(news),
      );
      await booksOf(client, broker.bootstrap, name);
    });
  }
});
