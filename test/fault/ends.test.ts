import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { waitFor } from "#base/flow/retry.ts";
import { bothSides } from "../harness/bothSides.ts";
import { compare } from "../harness/compare.ts";
import { type DirectStart, directConverged, startCapture, startDirect } from "../harness/directRun.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedKafka } from "../harness/servers.ts";
import { FerryProcess, startWorker } from "../harness/worker.ts";

const sides = async (stateDb: string) => {
  const { source, target, here, there, stack } = await bothSides();
  const state = ["--target", target.uri, "--state-db", stateDb];
  const command = (name: string, ...args: readonly string[]): Promise<FerryRun> =>
    ferry([...name.split(" "), ...state, ...args]);
  const options = (include: string, ...args: readonly string[]): DirectStart => ({
    source: source.uri,
    target: target.uri,
    include: [include],
    args: ["--state-db", stateDb, ...args],
  });
  const finalize = (...args: readonly string[]): Promise<FerryRun> =>
    command("finalize", "--source", source.uri, ...args);
  const dispose = () => stack.disposeAsync();
  return { source, target, here, there, command, options, finalize, [Symbol.asyncDispose]: dispose };
};

const refused = ({ status, out, err }: FerryRun, code: string, exit = 76): void => {
  assert.equal(status, exit, out + err);
  assert.match(err, new RegExp(code));
};

/** What the target does with each batch of writes to a collection, until it is disposed of. */
const disturbed = async (
  there: MongoClient,
  namespace: string,
  how: Readonly<{ blockConnection: true; blockTimeMS: number } | { errorCode: number }>,
): Promise<AsyncDisposable> => {
  const set = (mode: string): Promise<Document> =>
    there.db("admin").command({
      configureFailPoint: "failCommand",
      mode,
      ...(mode === "off" ? {} : { data: { failCommands: ["insert", "update"], namespace, ...how } }),
    });
  await set("alwaysOn");
  return { [Symbol.asyncDispose]: async () => void (await set("off")) };
};

const LATE = { blockConnection: true, blockTimeMS: 150 } as const;
/** WriteConflict: it passes, and is tried again for as long as it lasts. */
const REFUSED = { errorCode: 112 } as const;

/** Far more than a run may hold in memory: what is not applied yet has not been read yet either. */
const backlog = (from: number): Document[] =>
  Array.from({ length: 600 }, (_, n) => ({ _id: from + n, text: "x".repeat(10_000) }));

test("finalize of a paused run with a backlog that it cannot hold: everything is on the target", async () => {
  await using both = await sides("ferry_backlog");
  const [coll, copy] = [both.here, both.there].map((side) => side.db("backlog").collection("c"));
  assert.ok(coll !== undefined && copy !== undefined);
  await coll.insertOne({ _id: -1 as never });
  await using run = await startDirect(both.options("backlog.c", "--budget-mb", "1"));
  await directConverged(both.here, both.there, "backlog.c");
  assert.equal((await both.command("pause")).status, 0);
  await coll.insertMany(backlog(0) as never);
  const lag = async (): Promise<number> => {
    const { out, err } = await both.command("status", "--json");
    return (JSON.parse(out || err) as { own: { lagMs: number } }).own.lagMs;
  };
  /** By the source's clock, also while nothing moves. */
  const older = (than: number): Promise<number> =>
    waitFor(
      async () => {
        const ms = await lag();
        return ms > than ? { done: ms } : { seen: ms };
      },
      { what: `a lag of more than ${than} ms`, clock: systemClock, timeoutMs: 20_000 },
    );
  await older((await older(1000)) + 500);
  await using _slow = await disturbed(both.there, "backlog.c", LATE);
  const { status, out, err } = await both.finalize();
  assert.equal(status, 0, out + err + run.logTail(20));
  const found = await compare(coll, copy);
  assert.deepEqual({ wrong: found.wrong, source: found.source }, { wrong: 0, source: 602 });
  assert.equal((await run.exited).code, 0);
});

test("services that still write measurements of a time series keep a run from its end, as all others do", async () => {
  await using both = await sides("ferry_series");
  await both.here.db("series").createCollection("w", { timeseries: { timeField: "at", metaField: "m" } });
  const series = both.here.db("series").collection("w");
  await series.insertOne({ at: new Date(), m: 0 });
  await using run = await startDirect(both.options("series.*"));
  await run.says("copy finished");
  const writing = new AbortController();
  const writer = every(50, { clock: systemClock, ended: writing.signal, first: "now" }, async () => {
    await series.insertOne({ at: new Date(), m: 1 });
  });
  try {
    refused(await both.finalize(), "FERRY_SOURCE_WRITES: the source was written to at");
  } finally {
    writing.abort();
    await writer;
  }
  await waitFor(
    async () => {
      const { status, out, err } = await both.finalize();
      return status === 0 ? { done: undefined } : { seen: out + err };
    },
    { what: "the end of a source at rest", clock: systemClock, timeoutMs: 30_000 },
  );
  const [here, there] = [await series.countDocuments(), await both.there.db("series").collection("w").countDocuments()];
  assert.equal(there, here);
});

test("a run does not end while something is known to be missing: another source, writers, letters; letters can be replayed behind the end", async () => {
  await using both = await sides("ferry_refuses");
  const coll = both.here.db("refuses").collection("c");
  await coll.insertMany(Array.from({ length: 50 }, (_, n) => ({ _id: n as never, n: n < 45 ? n : 0 })));
  await both.there.db("refuses").createCollection("c", { validator: { n: { $lt: 40 } } });
  await using run = await startDirect(both.options("refuses.c", "--no-structure", "--conflict", "mirror"));
  await run.says("copy finished");

  const other = await both.command("finalize", "--source", both.target.uri);
  refused(other, "FERRY_CAPTURE_OTHER: the state on this target belongs to a capture of rs0", 64);

  refused(await both.finalize(), "FERRY_RUN_LETTERS: 5 dead letters not replayed \\(refuses.c: 5\\)");
  const shown = await both.command("dlq list", "--limit", "2");
  assert.match(shown.out, /2 of 5 dead letters are shown/);
  assert.match(shown.out, /failed validation: .*"n"/, "says which rule");
  const status = await both.command("status");
  assert.equal(status.status, 76, status.out);
  assert.match(status.out, /^running, .*5 dead letters/);

  // Refused without harm: the run continues.
  await coll.insertOne({ _id: "later" as never, n: 1 });
  await waitFor(
    async () =>
      (await both.there
        .db("refuses")
        .collection("c")
        .findOne({ _id: "later" as never })) === null
        ? { seen: "not there" }
        : { done: undefined },
    { what: "the run to continue", clock: systemClock, timeoutMs: 20_000 },
  );
  const writing = new AbortController();
  const writer = (async () => {
    for (let n = 0; !writing.signal.aborted; n++) await coll.insertOne({ _id: `w${n}` as never, n: 2 });
  })();
  refused(await both.finalize("--accept", "FERRY_RUN_LETTERS"), "FERRY_SOURCE_WRITES: the source was written to at");
  assert.match(run.log(), /not finalized; the run continues/);
  const ended = await both.finalize("--accept", "FERRY_RUN_LETTERS", "--allow-writes");
  writing.abort();
  await writer;
  assert.equal(ended.status, 0, ended.out + ended.err + run.logTail(20));
  assert.match(ended.out, /the target has everything that the source had up to 20\d\d-/);
  assert.equal((await run.exited).code, 0);

  await both.there.db("refuses").command({ collMod: "c", validator: {} });
  const replayed = await both.command("dlq replay", "--all");
  assert.equal(replayed.status, 0, replayed.out + replayed.err);
  assert.match(replayed.out, /^5 replayed/);
  assert.equal(
    await both.there
      .db("refuses")
      .collection("c")
      .countDocuments({ _id: { $lt: 50 as never } }),
    50,
  );
});

test("captured and applied by no route; pause, finalize and status report a run that ended with an error", async () => {
  await using both = await sides("ferry_nothing");
  using folder = tempFolder();
  const config = join(folder.path, "ferry.yaml");
  const carry = (...names: readonly string[]): void =>
    writeFileSync(config, `routes:\n${names.map((name) => `  - from: ${name}\n`).join("")}`);
  carry("nothing.a");
  for (const name of ["a", "b"]) await both.here.db("nothing").collection(name).insertOne({ n: 1 });
  {
    await using run = await startDirect(both.options("nothing.*", "--config", config));
    await directConverged(both.here, both.there, "nothing.a");
    refused(
      await both.finalize(),
      "FERRY_RUN_NOTHING_CARRIED: nothing was applied of nothing.b \\(no route reads it\\)",
    );
    await both.there.db("nothing").collection("late").insertOne({ own: 1 });
    assert.equal(run.log().includes("FERRY_RUN_NOTHING_CARRIED"), true);
    run.kill("SIGTERM");
    await run.exited;
  }
  // Not `nothing.b`: its records were read and not applied, so a route that starts now would lack them.
  carry("nothing.a", "nothing.late");
  await using run = await startDirect(both.options("nothing.*", "--config", config));
  await both.here.db("nothing").collection("late").insertOne({ n: 1 });
  assert.equal((await run.exited).code, 76, run.logTail(20));
  for (const name of ["pause", "resume", "status"]) {
    const told = await both.command(name);
    assert.equal(told.status, 76, name + told.out + told.err);
    assert.match(told.out, /FERRY_TARGET_NOT_EMPTY/, name);
  }
  refused(await both.finalize(), "FERRY_RUN_HALTED: nothing.late is halted: FERRY_TARGET_NOT_EMPTY");
});

test("finalize behind Kafka waits for the lanes, and refuses another source and letters", async () => {
  await using both = await sides("ferry_ends_kafka");
  const broker = await sharedKafka();
  const [coll, copy] = [both.here, both.there].map((side) => side.db("endsk").collection("c"));
  assert.ok(coll !== undefined && copy !== undefined);
  await coll.insertMany(backlog(0) as never);
  const uris = { source: both.source.uri, target: both.target.uri, kafka: broker.bootstrap };
  const state = ["--state-db", "ferry_ends_kafka"];
  await using capture = await startCapture({ ...uris, include: ["endsk.c"], args: [...state, "--partitions", "2"] });
  await using worker = await startWorker({ ...uris, args: [...state, "--topics", "endsk.*"] });
  await capture.says("copy finished");
  await waitFor(async () => ((await copy.countDocuments()) === 600 ? { done: undefined } : { seen: "not copied" }), {
    what: "the copy",
    clock: systemClock,
    timeoutMs: 30_000,
  });
  const kafka = ["--kafka", broker.bootstrap];
  const other = await both.command("finalize", "--source", both.target.uri, ...kafka);
  refused(other, "FERRY_CAPTURE_OTHER", 64);
  const flags = ["finalize", "--source", both.source.uri, "--target", both.target.uri, ...state, ...kafka];
  await using finalize = new FerryProcess("finalize", flags, {}, "records to apply");
  {
    await using _refused = await disturbed(both.there, "endsk.c", REFUSED);
    await coll.insertMany(backlog(1000) as never);
    await finalize.start(); // it has said how many, and waits
  }
  assert.equal((await finalize.exited).code, 0, finalize.logTail(20) + worker.logTail(20));
  assert.match(finalize.log(), /workers have \d+ records to apply/);
  const { wrong, source } = await compare(coll, copy);
  assert.deepEqual({ wrong, source }, { wrong: 0, source: 1200 });
});
