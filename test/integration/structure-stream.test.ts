import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Document } from "bson";
import { type Db, MongoClient } from "mongodb";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import type { DdlRecord } from "#structure/records.ts";
import { recommended } from "../harness/capture.ts";
import { compareLive } from "../harness/compare.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";
import { startWorker } from "../harness/worker.ts";

type Row = { _id: number } & Document;

const rows = (from: number, count: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({ _id: from + n, n: from + n, email: `${from + n}@x` }));

/** Collections of one phase, as they are before anything is carried. */
const before = async (db: Db, phase: string): Promise<void> => {
  for (const name of ["indexed", "modified", "again", "gone", "ring", "old", "over", "rotated", "out"])
    await db.collection<Row>(`${phase}_${name}`).insertMany(rows(0, 60));
  await db.command({
    createIndexes: `${phase}_indexed`,
    indexes: [
      { key: { email: 1 }, name: "mail", unique: true },
      { key: { n: 1 }, name: "dropped" },
    ],
  });
  await db.command({
    createIndexes: `${phase}_modified`,
    indexes: [
      { key: { at: 1 }, name: "at", expireAfterSeconds: 1000 },
      { key: { n: 1 }, name: "n" },
    ],
  });
  await db.collection(`${phase}_again`).createIndex({ n: 1 });
  await db.createCollection(`${phase}_view`, { viewOn: `${phase}_indexed`, pipeline: [] });
  await db.createCollection(`${phase}_viewgone`, { viewOn: `${phase}_indexed`, pipeline: [] });
};

/** Everything that may happen to a collection besides its documents, with documents before and after. */
const happen = async (db: Db, phase: string): Promise<void> => {
  await db.createCollection(`${phase}_new`, { collation: { locale: "de" }, validator: { n: { $type: "int" } } });
  await db.command({
    createIndexes: `${phase}_new`,
    indexes: [{ key: { email: 1 }, name: "e", unique: true, hidden: true }],
  });
  await db.collection<Row>(`${phase}_new`).insertMany(rows(0, 40));
  await db.createCollection(`${phase}_weather`, { timeseries: { timeField: "t" } });

  const indexed = `${phase}_indexed`;
  await db.command({ dropIndexes: indexed, index: ["dropped", "mail"] });
  await db.collection<Row>(indexed).updateMany({ _id: { $lt: 10 } }, { $set: { n: -1 } });
  await db.command({
    createIndexes: indexed,
    indexes: [
      { key: { email: -1 }, name: "mail", unique: true, sparse: true },
      { key: { "extra.$**": 1 }, name: "wild" },
    ],
  });

  const modified = `${phase}_modified`;
  await db.command({ collMod: modified, index: { name: "at", expireAfterSeconds: 2000 } });
  await db.command({ collMod: modified, index: { name: "n", hidden: true } });
  await db.command({ collMod: modified, validator: { n: { $gte: 0 } }, validationLevel: "moderate" });
  await db.command({ collMod: modified, changeStreamPreAndPostImages: { enabled: true } });
  await db.collection<Row>(modified).insertMany(rows(100, 10));

  await db.collection(`${phase}_again`).drop();
  await db.createCollection(`${phase}_again`, { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await db.collection<Row>(`${phase}_again`).insertMany(rows(30, 50));
  await db.collection(`${phase}_gone`).drop();
  await db.command({ convertToCapped: `${phase}_ring`, size: 1_000_000 });
  await db.collection<Row>(`${phase}_ring`).insertMany(rows(100, 5));

  // Renamed to a name that is free, over one that is not, and away with the old name taken again; $out renames, too.
  const rename = (from: string, to: string, dropTarget: boolean): Promise<unknown> =>
    db.renameCollection(`${phase}_${from}`, `${phase}_${to}`, { dropTarget });
  await db.collection<Row>(`${phase}_old`).updateMany({ _id: { $lt: 30 } }, { $set: { n: -5 } });
  await db.collection<Row>(`${phase}_old`).deleteMany({ _id: { $gte: 50 } });
  await rename("old", "over", true);
  await db.collection<Row>(`${phase}_over`).insertMany(rows(200, 20));
  await rename("rotated", "archive", false);
  await db.collection<Row>(`${phase}_rotated`).insertMany(rows(40, 40));
  await db
    .collection(`${phase}_over`)
    .aggregate([{ $match: { n: { $gt: 20 } } }, { $out: `${phase}_out` }])
    .toArray();

  await db.command({ collMod: `${phase}_view`, viewOn: modified, pipeline: [{ $match: { n: 1 } }] });
  await db.collection(`${phase}_viewgone`).drop();
  await db.createCollection(`${phase}_viewnew`, { viewOn: indexed, pipeline: [] });
};

const CARRIED = ["indexed", "modified", "again", "ring", "new", "over", "archive", "rotated", "out"];

/** Until every collection has the source's documents, and the structure has nothing left to follow. */
const sameAgain = async (
  source: Db,
  target: Db,
  phases: readonly string[],
  plan: () => Promise<string>,
): Promise<void> => {
  await waitFor(
    async () => {
      for (const phase of phases)
        for (const name of CARRIED) {
          const coll = `${phase}_${name}`;
          const found = await compareLive(source.collection(coll), target.collection(coll));
          if (found.wrong > 0 || found.source === 0) return { seen: { coll, ...found, different: [] } };
        }
      const left = await plan();
      return left.startsWith("nothing to do") ? { done: undefined } : { seen: left };
    },
    { what: `${phases} to be on the target`, clock: systemClock, timeoutMs: 90_000, everyMs: 500 },
  );
};

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
