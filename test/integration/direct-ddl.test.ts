import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import type { DdlRecord } from "#structure/records.ts";
import {
  before,
  beforeDatabases,
  databasesOf,
  databasesSame,
  dropDatabases,
  happen,
  sameAgain,
} from "../harness/ddlScenarios.ts";
import { startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";

/** Several chunks: its cursor is open when it goes. */
const LARGE = 6000;

test("changes of structure while copying and while streaming arrive through ferry run", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const db = source.db("shop");
  const urls = ["--source", one.uri, "--target", other.uri];
  const databases = ["shop", ...databasesOf("copy"), ...databasesOf("stream")];
  const structure = async (...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await ferry(["structure", ...args, ...urls]);
    assert.equal(status, 0, out + err);
    return out;
  };
  for (const phase of ["copy", "stream"]) {
    await before(db, phase);
    await beforeDatabases(source, phase);
  }
  await db.collection("copy_big").insertMany(Array.from({ length: LARGE }, (_, n) => ({ n })));

  // Frozen with a cursor in the middle of one collection; some are copied, most are not.
  await using run = await startDirect({
    source: one.uri,
    target: other.uri,
    include: databases.map((name) => `${name}.*`),
    env: { FERRY_FAULT: "mid-range:1:stop" },
  });
  await run.says("fault point");
  await happen(db, "copy");
  await dropDatabases(source, "copy");
  await db.collection("copy_big").drop();
  run.kill("SIGCONT");

  const plan = () => structure("plan", "--include", "shop");
  await sameAgain(db, target.db("shop"), ["copy"], plan);
  await databasesSame(source, target, "copy");
  await happen(db, "stream");
  await dropDatabases(source, "stream");
  await sameAgain(db, target.db("shop"), ["copy", "stream"], plan);
  await databasesSame(source, target, "stream");
  assert.equal(await target.db("shop").collection("copy_big").countDocuments(), 0);

  const ddl = target.db("ferry").collection<DdlRecord>("ddl");
  const kinds = await ddl.distinct("kind", { outcome: "applied" });
  for (const kind of ["create", "createIndexes", "drop", "dropDatabase", "dropIndexes", "modify", "rename"])
    assert.ok(kinds.includes(kind), `${kind} is not among ${kinds}`);
  run.kill("SIGTERM");
  await run.exited;
  await structure("finalize");
  for (const name of databases) assert.deepEqual(await structureOf(target, name), await structureOf(source, name));
});
