import assert from "node:assert/strict";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import { bothSides } from "../harness/bothSides.ts";
import { directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { smallDisk, tempFolder } from "../harness/folders.ts";
import { copyHeld, fill, startLoad, testSeed } from "../harness/load.ts";
import { mongo } from "../harness/servers.ts";

const captureOf = (there: MongoClient, stateDb: string) => there.db(stateDb).collection<CaptureRecord>("capture");

/** The same position, decades ago: a token begins with its clusterTime (seconds, then a counter). */
const ancient = (token: string): string => `${token.slice(0, 2)}00000400${token.slice(10)}`;

test("lost history: stops with its name, keeps the position, and copies again on request, removing what is gone", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const coll = both.here.db("lost").collection("c");
  await fill(coll, 4000, seed);
  await both.here
    .db("lost")
    .collection("gone")
    .insertMany([{ n: 1 }, { n: 2 }]);
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["lost.*"],
    args: ["--state-db", "ferry_lost", "--range-documents", "500"],
  };
  {
    await using run = await startDirect(options);
    await run.says("copy finished");
    await directConverged(both.here, both.there, "lost.c");
    run.kill("SIGTERM");
    await run.exited;
  }
  const captures = captureOf(both.there, "ferry_lost");
  const token = ancient((await captures.findOne({}))?.token._data ?? "");
  await captures.updateOne({}, { $set: { token: ResumeToken.stored({ _data: token }) } });
  await coll.deleteMany({ _id: { $type: "string" } as never });
  await coll.updateMany({}, { $set: { changed: true } });
  await both.here.db("lost").collection("gone").drop();

  const stopped = await endDirect(options);
  assert.equal(stopped.status, 76, stopped.err);
  assert.match(stopped.err, /FERRY_SOURCE_HISTORY_LOST/);
  assert.match(stopped.err, /--recopy/);
  assert.equal((await captures.findOne({}))?.token._data, token, "the position is kept");

  const load = startLoad(coll, { seed, writers: 10, keys: 6000, pauseMs: 20 });
  {
    await using killed = await startDirect({
      ...options,
      args: [...options.args, "--recopy"],
      env: { FERRY_FAULT: "mid-batch:6" },
    });
    await killed.says("fault point");
    await killed.exited;
  }
  await using run = await startDirect(options);
  await run.says("copy finished");
  await load.stop();
  await directConverged(both.here, both.there, "lost.c");
  assert.equal(await both.there.db("lost").collection("gone").countDocuments(), 0);
  assert.equal((await captures.findOne({}))?.generation, 2);
});

test("an event of more than 16 MB passes: by its key, with the document as it is", async () => {
  await using both = await bothSides();
  const coll = both.here.db("large").collection("c");
  const text = (letter: string, megabytes: number): string => letter.repeat(megabytes * 1024 * 1024);
  await coll.insertOne({ _id: "big" as never, a: text("a", 9), b: text("b", 1) });
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["large.c"],
    args: ["--state-db", "ferry_large"],
  });
  await run.says("copy finished");
  const set = (_id: string, $set: Document): Promise<unknown> => coll.updateOne({ _id: _id as never }, { $set });
  await coll.insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  await set("big", { a: text("c", 9) });
  await set("big", { small: 1 });
  await coll.insertOne({ _id: "behind" as never });
  await set("big", { a: text("d", 8), b: text("e", 2) });
  await coll.insertOne({ _id: "brief" as never, a: text("x", 9) });
  await set("brief", { a: text("y", 9) });
  await coll.deleteOne({ _id: "brief" as never });
  await coll.insertMany(Array.from({ length: 50 }, (_, n) => ({ n: -n })));
  const found = await directConverged(both.here, both.there, "large.c");
  assert.equal(found.source, 103);
  assert.match(run.log(), /was read by its key/);
});

/** Writes beside what is carried until the oplog has lost a capture's start. */
const turnOplog = async (here: MongoClient, there: MongoClient, stateDb: string): Promise<void> => {
  const start = (await captureOf(there, stateDb).findOne({}))?.startAt;
  const noise = here.db("noise").collection("n");
  await waitFor(
    async () => {
      await noise.insertMany(Array.from({ length: 20 }, () => ({ text: "y".repeat(10_000) })));
      const first = await here
        .db("local")
        .collection("oplog.rs")
        .findOne({}, { sort: { $natural: 1 } });
      const isLost = start !== undefined && first?.["ts"].greaterThan(start);
      return isLost ? { done: undefined } : { seen: { start, first: first?.["ts"] } };
    },
    { what: "the oplog to lose the start", clock: systemClock, timeoutMs: 90_000, everyMs: 100 },
  );
};

test("a copy that outlasts the oplog: lost without a spool; with one, and a kill, it ends equal", async () => {
  const seed = testSeed();
  await using source = await mongo({ name: "small", args: ["--oplogSize", "1", "--syncdelay", "1"] });
  await using here = await new MongoClient(source.uri).connect();
  await using both = await bothSides();
  using folder = tempFolder();
  const optionsOf = (name: string, spool: string): Parameters<typeof startDirect>[0] => ({
    source: source.uri,
    target: both.target.uri,
    include: [`${name}.*`],
    args: ["--state-db", `ferry_${name}`, "--spool", spool, "--spool-dir", folder.path],
  });
  await fill(here.db("outlasted").collection("c"), 200, seed);
  {
    const options = optionsOf("outlasted", "never");
    await using held = await copyHeld(here, "outlasted.c");
    await using run = await startDirect(options);
    await run.says("start position noted");
    await turnOplog(here, both.there, "ferry_outlasted");
    await held[Symbol.asyncDispose]();
    assert.equal((await run.exited).code, 76, run.logTail(20));
    assert.match(run.log(), /FERRY_SOURCE_HISTORY_LOST/);
  }
  const coll = here.db("spooled").collection("c");
  await fill(coll, 200, seed);
  const options = optionsOf("spooled", "auto");
  await using held = await copyHeld(here, "spooled.c");
  const load = startLoad(coll, { seed, writers: 4, keys: 400, pauseMs: 20 });
  {
    await using run = await startDirect(options);
    await run.says("the change stream is spooled to");
    await turnOplog(here, both.there, "ferry_spooled");
    run.kill("SIGKILL");
    await run.exited;
  }
  await using run = await startDirect(options);
  await run.says("the change stream is spooled to");
  await held[Symbol.asyncDispose]();
  await run.says("the spool is applied");
  await load.stop();
  await directConverged(here, both.there, "spooled.c");
});

type Own = Readonly<{ spool: Readonly<{ bytes: number; full: string | null }> | null }>;

/** A copy that stands still while more is written than the spool takes: logged, nothing lost, ends equal. */
const outgrown = async (
  name: string,
  { args, why, resumes }: Readonly<{ args: readonly string[]; why: RegExp; resumes: (() => void) | undefined }>,
): Promise<void> => {
  await using both = await bothSides();
  const coll = both.here.db(name).collection("c");
  await fill(coll, 200, testSeed());
  const stateDb = `ferry_${name}`;
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: [`${name}.*`],
    args: ["--state-db", stateDb, "--spool", "always", ...args],
  };
  const own = async (): Promise<Own> => {
    const { out } = await ferry(["status", "--target", both.target.uri, "--state-db", stateDb, "--json"]);
    return JSON.parse(out).own;
  };
  /** One by one, so that they come in several replies. */
  const write = async (): Promise<void> => {
    for (let n = 0; n < 30; n++) await coll.insertOne({ text: "z".repeat(100_000) });
  };
  const spooled = (what: string, isSo: (spool: NonNullable<Own["spool"]>) => boolean): Promise<void> =>
    waitFor(
      async () => {
        const { spool } = await own();
        return spool !== null && isSo(spool) ? { done: undefined } : { seen: spool };
      },
      { what, clock: systemClock, timeoutMs: 30_000 },
    );
  await using held = await copyHeld(both.here, `${name}.c`);
  {
    await using run = await startDirect(options);
    await run.says("the change stream is spooled to");
    await write();
    await run.says(/FERRY_CAPTURE_SPOOL_FULL.*reading ahead is paused: .*only the oplog/);
    const told = /"msg":"reading ahead is paused[^"]*/.exec(run.log())?.[0] ?? "";
    assert.match(told, why);
    await spooled("a full spool", ({ full }) => full !== null && why.test(full));
    const text = await ferry(["status", "--target", both.target.uri, "--state-db", stateDb]);
    assert.match(text.out, /the change stream is spooled up to .* MB of at most .*; FERRY_CAPTURE_SPOOL_FULL: /);
    if (resumes !== undefined) {
      resumes();
      await spooled("all to be spooled", ({ full, bytes }) => full === null && bytes > 3_000_000);
    }
    run.kill("SIGKILL");
    await run.exited;
  }
  await using run = await startDirect(options);
  await run.says("the change stream is spooled to");
  await write();
  await held[Symbol.asyncDispose]();
  await run.says("the spool is applied");
  await directConverged(both.here, both.there, `${name}.c`);
  run.kill("SIGTERM");
  assert.equal((await run.exited).signal, "SIGTERM", run.logTail(20)); // passed on once everything is saved
  assert.equal((await own()).spool, null);
};

test("a spool at its bound: said once, shown in the status, nothing lost, also across a kill", async () => {
  using folder = tempFolder();
  const args = ["--spool-dir", folder.path, "--spool-size", "1"];
  await outgrown("bounded", { args, why: /it holds \d+ bytes, and may hold 1048576/, resumes: undefined });
});

test("a disk that is full: said, nothing lost, and resumed as soon as there is room", async (t) => {
  const disk = smallDisk(1);
  if (typeof disk === "string") return t.skip(`no small file system: ${disk}`);
  using _disk = disk;
  await outgrown("crowded", { args: ["--spool-dir", disk.path], why: /ENOSPC/, resumes: () => disk.grow(32) });
});
