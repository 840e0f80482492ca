import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Double, Int32, Long, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad } from "../harness/load.ts";
import { pythonWithPymongo, runPython } from "../harness/python.ts";
import { sharedMongo } from "../harness/servers.ts";

const people = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ _id: i, name: `user ${i}`, age: new Int32(i % 90), ssn: `s${i}` }));

/** What the third party says where both sides are as the receipt has them; and what stands for it where it cannot be asked. */
const SKIPPED = { status: 0, out: "4 namespaces are as the receipt says\n" };

type Told = Readonly<{
  routes: readonly Readonly<{
    route: string;
    wrong: number;
    excused: number;
    examples: readonly Readonly<{ key: { _id: unknown }; kind: string; how?: string; path?: string }>[];
  }>[];
  structure: readonly Readonly<{ ns: string; index: string; kind: string; options: string[]; deferred: boolean }>[];
}>;

test("ferry verify says of a run whether all is there: under writes, through a filter, and which document is not; repair, and a receipt", async (t) => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const [db, copy] = [here.db("proof"), there.db("proof")];
  await db.collection("people").insertMany(people(12_000) as never);
  await fill(db.collection("mixed"), 3000, 7);
  await db.collection("people").createIndex({ age: 1 });
  await db.collection("people").createIndex({ name: 1 }, { unique: true });
  await db.createCollection("words", { collation: { locale: "fr" } });
  await db.createCollection("log", { capped: true, size: 4096 });
  await db.createCollection("adults", { viewOn: "people", pipeline: [{ $match: { age: { $gt: 18 } } }] });
  using folder = tempFolder();
  const config = join(folder.path, "ferry.yaml");
  writeFileSync(
    config,
    "routes:\n  - from: proof.people\n    fields: { deny: [ssn] }\n    where: { age: { $lt: 80 } }\n  - from: proof.mixed\n  - from: proof.words\n  - from: proof.log\n",
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
  const load = startLoad(db.collection("mixed"), { seed: 11, writers: 8, keys: 3000, pauseMs: 40 });
  const busy = await verify();
  assert.equal(busy.status, 0, busy.out + busy.err);
  assert.match(busy.out, /proof\.people: 12,000 documents compared, all equal/);
  assert.match(busy.out, /proof\.mixed: [\d,]+ documents compared, all equal/);
  assert.match(busy.out, /^structure: 2 deferred until finalize$/m); // unique, capped
  await load.stop();
  await directConverged(here, there, "proof.mixed");

  const found = copy.collection<{ _id: number }>("people");
  await found.updateOne({ _id: 5 }, { $set: { ssn: "leaked" } });
  await found.updateOne({ _id: 6 }, { $set: { age: Long.fromNumber(6) } });
  await found.deleteOne({ _id: 7 });
  await found.insertOne({ _id: 89, name: "filtered out, and there all the same" } as never);
  await copy.collection<{ _id: number }>("mixed").insertOne({ _id: new Double(0.5) as never });
  await found.dropIndex("age_1");
  await copy.collection("words").drop();
  await copy.createCollection("words", { collation: { locale: "de" } });
  await copy.collection("adults").drop();
  const told = await verify("--json");
  assert.equal(told.status, 1, told.err);
  const { routes, structure } = JSON.parse(told.out) as Told;
  const spelled = routes.flatMap(({ route, examples }) =>
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
  assert.match(told.err, /FERRY_VERIFY_WRONG","detail":"5 documents, 3 parts of the structure/);
  assert.deepEqual(
    structure
      .filter(({ deferred }) => !deferred)
      .map(({ ns, index, kind, options }) => `${ns} ${index} ${kind} ${options}`.replaceAll(/ +/g, " ").trim())
      .sort(),
    ["proof.adults missing", "proof.people age_1 missing", "proof.words different collation"],
  );
  const one = await verify("--include", "proof.mixed");
  assert.match(one.out, /proof\.mixed: [\d,]+ documents compared, 1 wrong/);

  const repair = (...more: string[]) => ferry(["repair", ...urls, ...state, ...more]);
  const dry = await repair();
  assert.equal(dry.status, 1, dry.err);
  assert.match(dry.out, /proof\.people: 4 to be written again\n {2}\{"_id":5\} different, value at ssn/);
  const repaired = await repair("--apply");
  assert.equal(repaired.status, 0, repaired.out + repaired.err + run.logTail(5));
  assert.equal(repaired.out, "3 written again, 2 deleted, 0 right by themselves\n");
  const account = await there.db("ferry_proof").collection("repairs").find().sort({ _id: 1 }).toArray();
  assert.deepEqual(account.map(({ kind, did, state }) => `${kind} ${did} ${state}`).sort(), [
    "different wrote done",
    "different wrote done",
    "extra deleted done",
    "extra deleted done",
    "missing wrote done",
  ]);
  const after = await verify("--json");
  const again = (JSON.parse(after.out) as Told).routes.filter(({ wrong }) => wrong > 0);
  assert.deepEqual([after.status, again], [1, []], "the structure alone is wrong");

  const file = join(folder.path, "receipt.json");
  const receipt = (...more: string[]) => ferry(["receipt", ...more, ...urls, "--state-db", "ferry_proof"]);
  const written = await receipt("--out", file, "--config", config);
  assert.equal(written.status, 0, written.err);
  assert.match(written.out, /receipt\.json: 4 namespaces, [\d,]+ documents on the target, both sides equal\n$/);
  const checked = await receipt("check", file);
  assert.equal(checked.status, 0, checked.out + checked.err);
  const python = await pythonWithPymongo();
  const third = (): ReturnType<typeof runPython> | undefined =>
    "missing" in python ? undefined : runPython(python.python, ["docs/check_receipt.py", file, source.uri, target.uri]);
  if ("missing" in python) t.diagnostic(`SKIPPED the third party's check: ${python.missing}`);
  assert.deepEqual((await third()) ?? SKIPPED, SKIPPED);
  await found.updateOne({ _id: 5 }, { $set: { age: new Int32(6) } });
  const changed = await receipt("check", file);
  assert.equal(changed.status, 1, changed.out);
  assert.equal(changed.out, "proof.people: target changed\n");
  assert.equal((await third())?.status ?? 1, 1);

  await db.collection("log").drop();
  const isThere = async (): Promise<boolean> => (await copy.listCollections({ name: "log" }).toArray()).length > 0;
  await waitFor(async () => ((await isThere()) ? { seen: run.logTail(3) } : { done: undefined }), {
    ...{ what: "the drop to be followed", clock: systemClock, timeoutMs: 20_000 },
  });
  const gone = await verify("--include", "proof.log");
  assert.match(gone.out, /^proof\.log: 0 documents compared, all equal/m, gone.err);
});
