import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document, MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { bothSides } from "../harness/bothSides.ts";
import { compare } from "../harness/compare.ts";
import { type DirectStart, directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { copyHeld, fill, testSeed } from "../harness/load.ts";
import { structureOf } from "../harness/structure.ts";

/** Copied in small steps, this takes longer than a command takes to start. */
const DOCUMENTS = 15_000;

/** Both sides, clients for them, and commands against the run that a state database is of. */
const sides = async (stateDb: string) => {
  const { source, target, here, there, stack } = await bothSides();
  const urls = ["--target", target.uri, "--state-db", stateDb];
  const command = (name: string, ...args: readonly string[]): Promise<FerryRun> =>
    ferry([...name.split(" "), ...urls, ...args]);
  const done = async (name: string): Promise<string> => {
    const { status, out, err } = await command(name);
    assert.equal(status, 0, out + err);
    return out;
  };
  const options = (name: string, ...args: readonly string[]): DirectStart => ({
    source: source.uri,
    target: target.uri,
    include: [name],
    args: ["--state-db", stateDb, ...args],
  });
  const finalize = (): Promise<FerryRun> => command("finalize", "--source", source.uri);
  const captures = there.db(stateDb).collection<CaptureRecord>("capture");
  const dispose = () => stack.disposeAsync();
  return { source, here, there, command, done, options, finalize, captures, [Symbol.asyncDispose]: dispose };
};

test("a paused run writes nothing, in the copy and in the stream, until it is resumed; also after kill -9", async () => {
  const stateDb = "ferry_pauses";
  await using both = await sides(stateDb);
  const coll = both.here.db("pauses").collection("c");
  await fill(coll, DOCUMENTS, testSeed());
  const options = both.options(
    "pauses.c",
    ...["--range-documents", "1000", "--batch-count", "20", "--slices", "1", "--readers", "1", "--budget-mb", "1"],
  );
  const ranges = both.there.db(stateDb).collection<RangeRecord>("copyRanges");
  const lanes = both.there.db(stateDb).collection<LaneRecord>("lanes");
  const target = both.there.db("pauses").collection("c");
  /** Everything that would be another if the run went on. */
  const state = async (): Promise<unknown> => [
    await target.countDocuments(),
    await ranges.countDocuments({ done: true }),
    (await lanes.find().sort({ _id: 1 }).toArray()).map(({ offset }) => Number(offset)),
    (await both.captures.findOne())?.token,
  ];
  {
    await using run = await startDirect(options);
    await waitFor(
      async () => ((await ranges.countDocuments({ done: true })) > 0 ? { done: undefined } : { seen: "none" }),
      { what: "a range to be copied", clock: systemClock, timeoutMs: 30_000, everyMs: 20 },
    );
    assert.match(await both.done("pause"), /^paused: /);
    const before = await state();
    await coll.insertOne({ _id: "while paused" } as Document);
    assert.match(await both.done("status"), /copy of 1 collections[\s\S]*paused until `ferry resume`/);
    assert.match(await both.done("pause"), /^paused: /, "asked for again");
    assert.deepEqual(await state(), before);
    run.kill("SIGKILL");
    await run.exited;
  }
  const before = await state();
  await using run = await startDirect(options, "paused: nothing is written");
  await both.done("status");
  assert.deepEqual(await state(), before);
  assert.match(await both.done("resume"), /^resumed from its position/);
  await directConverged(both.here, both.there, "pauses.c");

  await both.done("pause");
  const held = await state();
  await coll.deleteOne({ _id: "while paused" as never });
  await both.done("status");
  assert.deepEqual(await state(), held);
  // Finalized out of the pause: what is held up is drained first.
  const [{ status, out, err }, { code }] = await Promise.all([both.finalize(), run.exited]);
  assert.deepEqual([status, code], [0, 0], out + err + run.logTail(20));
  assert.match(out, /finalized: /);
  const found = await compare(coll, target);
  assert.deepEqual({ wrong: found.wrong, enough: found.source >= DOCUMENTS }, { wrong: 0, enough: true });
});

/** Sums over all lanes: what was received, applied and so on. */
const accounts = async (there: MongoClient, stateDb: string): Promise<Readonly<Record<string, number>>> => {
  const sums: Record<string, number> = {};
  for (const { counts } of await there.db(stateDb).collection<LaneRecord>("lanes").find().toArray())
    for (const [what, n] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + Number(n);
  return sums;
};

/** In the order in which a finalized run passes them. */
const STEPS = ["drained", "structure-built", "structure-restored", "structure-prepared", "before-finalized"];

test("finalize drains, is killed at each of its steps, resumes, and ends the run; then only --replace-target starts over", async () => {
  await using both = await sides("ferry_ends");
  const db = both.here.db("ends");
  await db.createCollection("users", { validator: { n: { $exists: true } } });
  await db.createCollection("ring", { capped: true, size: 100_000 });
  for (const name of ["users", "ring", "twice"])
    await db.collection(name).insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  await db.collection("users").createIndex({ n: 1 }, { unique: true });
  await db.collection("users").createIndex({ at: 1 }, { expireAfterSeconds: 1000 });
  await db.collection("twice").createIndex({ n: 1 }, { unique: true });
  const options = both.options("ends.*");
  let ended: Promise<FerryRun> | undefined;
  let drained: unknown;
  for (const point of STEPS) {
    const says = ended === undefined ? "target is a " : "drained: ";
    await using run = await startDirect({ ...options, env: { FERRY_FAULT: point } }, says);
    if (ended === undefined) {
      await run.says("copy finished");
      // The target's own: what it has twice cannot be unique there.
      await both.there.db("ends").collection("twice").insertOne({ n: 1 });
      await db.collection("users").insertMany(Array.from({ length: 500 }, (_, n) => ({ n: 1000 + n })));
      ended = both.finalize();
    }
    assert.equal((await run.exited).signal, "SIGKILL", run.logTail(20));
    assert.match(run.log(), /fault point/);
    if (drained !== undefined) continue;
    drained = await accounts(both.there, "ferry_ends");
    await db.collection("users").createIndex({ late: 1 }); // nothing reads the stream any more
  }
  const again = await endDirect(options);
  assert.equal(again.status, 0, again.err);
  assert.match(again.err, /finalized: the run is over/);
  assert.deepEqual(await accounts(both.there, "ferry_ends"), drained, "nothing is carried behind the drain");
  assert.ok(ended !== undefined);
  const { status, out, err } = await ended;
  assert.equal(status, 1, out + err);
  assert.match(out, /drained; restoring deferred constraints/);
  assert.match(err, /FERRY_STRUCTURE_INCOMPLETE: ends\.twice \(n_1\): documents have the same values/);
  const [here, there] = [await structureOf(both.here, "ends"), await structureOf(both.there, "ends")];
  assert.deepEqual([there["users"], there["ring"]], [here["users"], here["ring"]]);
  for (const name of ["users", "ring"]) {
    const { wrong, source } = await compare(db.collection(name), both.there.db("ends").collection(name));
    assert.deepEqual({ wrong, source }, { wrong: 0, source: name === "ring" ? 50 : 550 }, name);
  }
  assert.match(await both.done("status"), /no process captures[\s\S]*finalized: the run is over/);

  for (const refused of [await endDirect(options), await both.command("pause")]) {
    assert.equal(refused.status, 64, refused.err);
    assert.match(refused.err, /FERRY_RUN_FINALIZED/);
  }
  await using run = await startDirect({ ...options, args: [...(options.args ?? []), "--replace-target"] });
  const found = await directConverged(both.here, both.there, "ends.twice");
  assert.equal(found.source, 51, run.logTail(20));
});

test("finalize during the copy says that the copy ends first, and finishes after it; `ferry structure finalize` is refused meanwhile", async () => {
  await using both = await sides("ferry_early");
  const coll = both.here.db("early").collection("c");
  await fill(coll, 2000, testSeed());
  await coll.createIndex({ at: 1 }, { expireAfterSeconds: 1000 });
  await using held = await copyHeld(both.here, "early.c");
  await using run = await startDirect(both.options("early.c"));
  await run.says("start position noted");
  const ended = both.command("finalize", "--source", both.source.uri, "--allow-writes"); // it is written to in the copy

  await run.says("finalize requested: draining first");
  const refused = await both.command("structure finalize", "--source", both.source.uri);
  assert.equal(refused.status, 75, refused.out + refused.err);
  assert.match(refused.err, /FERRY_RUN_ALIVE: .*`ferry run`.*\n.*`ferry finalize`/);
  await coll.insertOne({ _id: "while copying" } as Document);
  await held[Symbol.asyncDispose]();
  const [{ status, out, err }, { code }] = await Promise.all([ended, run.exited]);
  assert.deepEqual([status, code], [0, 0], out + err + run.logTail(20));
  assert.match(out, /^draining: first the rest of the copy[\s\S]*\nfinalized: /);
  const { wrong, source } = await compare(coll, both.there.db("early").collection("c"));
  assert.deepEqual({ wrong, source }, { wrong: 0, source: await coll.countDocuments() });
  assert.deepEqual(await structureOf(both.there, "early"), await structureOf(both.here, "early"));
});
