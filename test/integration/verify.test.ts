import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Double, Int32, Long, MongoClient } from "mongodb";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad } from "../harness/load.ts";
import { sharedMongo } from "../harness/servers.ts";

const people = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ _id: i, name: `user ${i}`, age: new Int32(i % 90), ssn: `s${i}` }));

test("ferry verify says of a run whether all is there: under writes, through a filter, and which document is not", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const [db, copy] = [here.db("proof"), there.db("proof")];
  await db.collection("people").insertMany(people(12_000) as never);
  await fill(db.collection("mixed"), 3000, 7);
  using folder = tempFolder();
  const config = join(folder.path, "ferry.yaml");
  writeFileSync(
    config,
    "routes:\n  - from: proof.people\n    fields: { deny: [ssn] }\n    where: { age: { $lt: 80 } }\n  - from: proof.mixed\n",
  );
  const state = ["--state-db", "ferry_proof", "--config", config];
  const urls = ["--source", source.uri, "--target", target.uri];
  const verify = (...more: string[]) => ferry(["verify", ...urls, ...state, ...more]);
  const early = await verify();
  assert.equal(early.status, 64, early.err); // no run has begun

  await using run = await startDirect({
    source: source.uri,
    target: target.uri,
    include: ["proof.*"],
    args: [...state, "--slices", "2"],
  });
  await run.says("copy finished", 60_000);
  const load = startLoad(db.collection("mixed"), { seed: 11, writers: 8, keys: 3000, pauseMs: 10 });
  const busy = await verify();
  assert.equal(busy.status, 0, busy.out + busy.err);
  assert.match(busy.out, /proof\.people: 12,000 documents compared, all equal/);
  assert.match(busy.out, /proof\.mixed: [\d,]+ documents compared, all equal/);
  await load.stop();
  await directConverged(here, there, "proof.mixed");

  const found = copy.collection<{ _id: number }>("people");
  await found.updateOne({ _id: 5 }, { $set: { ssn: "leaked" } });
  await found.updateOne({ _id: 6 }, { $set: { age: Long.fromNumber(6) } });
  await found.deleteOne({ _id: 7 });
  await found.insertOne({ _id: 89, name: "filtered out, and there all the same" } as never);
  await copy.collection<{ _id: number }>("mixed").insertOne({ _id: new Double(0.5) as never });
  const told = await verify("--json");
  assert.equal(told.status, 1, told.err);
  const results = JSON.parse(told.out) as {
    route: string;
    examples: { key: { _id: unknown }; kind: string; how?: string; path?: string }[];
  }[];
  const spelled = results.flatMap(({ route, examples }) =>
    examples.map(({ key, kind, how = "", path = "" }) =>
      `${route} ${JSON.stringify(key._id)} ${kind} ${how} ${path}`.trim(),
    ),
  );
  assert.deepEqual(spelled.sort(), [
    "proof.mixed 0.5 extra",
    "proof.people 5 different value ssn",
    "proof.people 6 different number-type age",
    "proof.people 7 missing",
    "proof.people 89 extra",
  ]);
  assert.match(told.err, /FERRY_VERIFY_WRONG/);
  const one = await verify("--include", "proof.mixed");
  assert.match(one.out, /proof\.mixed: [\d,]+ documents compared, 1 wrong/);
});
