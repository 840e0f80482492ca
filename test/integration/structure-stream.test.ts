import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import type { DdlRecord } from "#structure/model/structureRecords.ts";
import { recommended } from "../harness/capture.ts";
import { before, happen, sameAgain } from "../harness/ddlScenarios.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";
import { startWorker } from "../harness/worker.ts";

test("changes of structure while copying and while streaming arrive through the official connector", async () => {
  const [one, other, kafka, connect] = await Promise.all([
    sharedMongo("source"),
    sharedMongo("target"),
    sharedKafka(),
    sharedConnect(),
  ]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  using folder = tempFolder();
  const db = source.db("shop");
  const urls = ["--source", one.uri, "--target", other.uri];
  const structure = async (...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await ferry(["structure", ...args, ...urls]);
    assert.equal(status, 0, out + err);
    return out;
  };
  await before(db, "copy");
  await before(db, "stream");
  await structure("build", "--include", "shop");

  const file = join(folder.path, "connector.json");
  const config = recommended(one.uri, "shop", "any", {
    pipeline: JSON.stringify([
      { $addFields: { copyTime: { $cond: ["$_id.copyingData", "$$CLUSTER_TIME", "$$REMOVE"] } } },
    ]),
    "startup.mode.copy.existing.namespace.regex":
      "^shop\\.(copy|stream)_(indexed|modified|again|gone|ring|new|old|over|archive|rotated|out)$",
    "topic.creation.default.partitions": "2",
  });
  writeFileSync(file, JSON.stringify({ name: "shop", config }));
  const cx = ["cx", file, ...urls, "--kafka", kafka.bootstrap, "--connect", connect.url];
  // The start position is noted; what happens now is both in the copy and, as events, behind it.
  await ferry(cx, { stopWhen: /noted the start position/, signal: "SIGKILL" });
  await happen(db, "copy");
  const started = await ferry(cx);
  assert.equal(started.status, 0, started.err);

  const worker = { target: other.uri, source: one.uri, kafka: kafka.bootstrap, args: ["--topics", "shop.*"] };
  await using _first = await startWorker(worker);
  await using _second = await startWorker(worker);
  const plan = () => structure("plan", "--include", "shop");
  await sameAgain(db, target.db("shop"), ["copy"], plan);
  await happen(db, "stream");
  await sameAgain(db, target.db("shop"), ["copy", "stream"], plan);

  const ddl = target.db("ferry").collection<DdlRecord>("ddl");
  const kinds = await ddl.distinct("kind", { outcome: "applied" });
  assert.deepEqual(kinds.sort(), ["create", "createIndexes", "drop", "dropIndexes", "modify", "rename"]);
  await structure("finalize");
  assert.deepEqual(await structureOf(target, "shop"), await structureOf(source, "shop"));
});
