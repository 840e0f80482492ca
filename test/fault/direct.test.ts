import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { BSON, type Document, MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { type Books, checkBooks } from "../harness/books.ts";
import { type BothSides, bothSides } from "../harness/bothSides.ts";
import { type DirectStart, directConverged, startDirect } from "../harness/directRun.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { mongo } from "../harness/servers.ts";

const DB = "fault";

/** Copied in ranges of about 3000: several chunks each. */
const DOCUMENTS = 20_000;
const EXACT = { promoteValues: false } as const;

/** Every lane's balance; and how many records they received together. */
const received = async (there: MongoClient, stateDb: string): Promise<number> => {
  const lanes = await there.db(stateDb).collection<LaneRecord>("lanes").find().toArray();
  let sum = 0;
  for (const { _id, counts } of lanes) {
    const books = Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, Number(n)])) as unknown as Books;
    checkBooks(_id, books);
    assert.equal(books.dead, 0);
    sum += books.received;
  }
  return sum;
};

/** The first start of a scenario, killed at a fault point; the second one resumes. */
const killed = async (options: DirectStart, fault: string): Promise<void> => {
  await using run = await startDirect({ ...options, env: { FERRY_FAULT: fault } });
  await run.says("fault point");
  const { signal } = await run.exited;
  assert.equal(signal, "SIGKILL", run.logTail(20));
};

const optionsFor = (both: BothSides, coll: string, stateDb: string, rangeDocuments = 3000): DirectStart => ({
  source: both.source.uri,
  target: both.target.uri,
  include: [`${DB}.${coll}`],
  args: ["--state-db", stateDb, "--batch-count", "200", "--range-documents", String(rangeDocuments)],
});

const spell = (_id: unknown): string => BSON.EJSON.stringify({ _id }, { relaxed: false });

/** `_id`s at which the source was asked to begin a range, since a moment. */
const begunAt = async (here: MongoClient, coll: string, since: Date): Promise<ReadonlySet<string>> => {
  const finds = await here
    .db(DB)
    .collection("system.profile")
    .find({ op: "query", ns: `${DB}.${coll}`, ts: { $gt: since }, "command.min": { $exists: true } }, EXACT)
    .toArray();
  return new Set(finds.map(({ command }) => spell((command as Document)["min"]._id)));
};

const boundOf = ({ from }: RangeRecord): string | undefined =>
  from === null ? undefined : spell(BSON.deserialize(from.buffer, EXACT)["_id"]);

/** Each has collections and a state database of its own, and waits for leases most of the time. */
const AT_ONCE = 3;

const duringCopy = async (fault: string, seed: number): Promise<void> => {
  await using both = await bothSides();
  const name = `copy_${fault.replace(/[^a-z0-9]/g, "_")}`;
  const stateDb = `ferry_${name}`;
  const users = both.here.db(DB).collection(name);
  await fill(users, DOCUMENTS, seed);
  // Chunks of 5000 at most: two ranges have several each, wherever their bound was sampled.
  const options = optionsFor(both, name, stateDb, fault.startsWith("mid-range") ? DOCUMENTS : undefined);
  const load = startLoad(users, { seed, writers: 10, keys: 30_000, pauseMs: 20 });
  await killed(options, fault);
  const ranges = both.there.db(stateDb).collection<RangeRecord>("copyRanges");
  const finished = await ranges.find({ done: true }).toArray();
  const profiled = new Date();
  await using run = await startDirect(options);
  await run.says("copy finished");
  await load.stop();
  await directConverged(both.here, both.there, `${DB}.${name}`);
  const again = await begunAt(both.here, name, profiled);
  const repeated = finished.map(boundOf).filter((bound) => bound !== undefined && again.has(bound));
  assert.deepEqual(repeated, [], "a finished range is not read again");
  assert.equal(await ranges.countDocuments({ done: false }), 0);
  await received(both.there, stateDb);
};

const duringStream = async (fault: string, seed: number): Promise<void> => {
  await using both = await bothSides();
  const name = `stream_${fault.replace(/[^a-z0-9]/g, "_")}`;
  const stateDb = `ferry_${name}`;
  const users = both.here.db(DB).collection(name);
  await fill(users, 200, seed);
  const options = optionsFor(both, name, stateDb);
  {
    await using first = await startDirect(options);
    await first.says("copy finished");
    first.kill("SIGTERM");
    await first.exited;
  }
  const load = startLoad(users, { seed, writers: 20, keys: 500, pauseMs: 10 });
  await killed(options, fault);
  await using run = await startDirect(options);
  await load.stop();
  await directConverged(both.here, both.there, `${DB}.${name}`);
  run.kill("SIGTERM");
  await run.exited;
  const record = await both.there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
  const next = Number(record?.topics.find((topic) => topic.name === `${DB}.${name}`)?.next);
  assert.equal(await received(both.there, stateDb), next, "every offset was received once, and none was left out");
};

test("killed at the worst moments of a copy: resumes by range, equal, nothing finished is read again", {
  concurrency: AT_ONCE,
}, async (t) => {
  const seed = testSeed();
  await using both = await bothSides();
  const profile = both.here.db(DB);
  await profile.command({ profile: 1, filter: { op: "query", "command.min": { $exists: true } } });
  const points = ["mid-range:1", "mid-range:2", "after-range:3", "before-checkpoint:1", "after-checkpoint:1"];
  points.push("after-read:4", "mid-batch:5", "before-commit:9", "after-commit:7");
  await Promise.all(points.map((fault) => t.test(fault, () => duringCopy(fault, seed))));
  await profile.command({ profile: 0 });
});

test("killed at the worst moments of the stream: the same events come under the same offsets, each once", {
  concurrency: AT_ONCE,
}, async (t) => {
  const seed = testSeed();
  const points = ["after-events:3", "before-checkpoint:2", "after-checkpoint:3", "after-read:5", "mid-batch:9"];
  points.push("after-commit:11");
  await Promise.all(points.map((fault) => t.test(fault, () => duringStream(fault, seed))));
});

/** Killed while replies of the source are in files: kept in mid-copy, played, or played and not removed. */
const withSpool = async (fault: string, seed: number): Promise<void> => {
  await using both = await bothSides();
  using folder = tempFolder();
  const name = `spool_${fault.replace(/[^a-z0-9]/g, "_")}`;
  const stateDb = `ferry_${name}`;
  const users = both.here.db(DB).collection(name);
  await fill(users, 6000, seed);
  const plain = optionsFor(both, name, stateDb);
  const spool = ["--spool", "always", "--spool-size", "1", "--spool-dir", folder.path];
  const options = { ...plain, args: [...(plain.args ?? []), ...spool] };
  const load = startLoad(users, { seed, writers: 10, keys: 9000, pauseMs: 20 });
  await killed(options, fault);
  const wasCopying = (await both.there.db(stateDb).collection<CaptureRecord>("capture").findOne())?.phase === "copy";
  await using run = await startDirect(options);
  const spooled = (): string[] =>
    readdirSync(folder.path, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".spool"));
  await waitFor(async () => (spooled().length === 0 ? { done: undefined } : { seen: spooled() }), {
    what: "what is played to be removed",
    clock: systemClock,
    timeoutMs: 60_000,
  });
  await load.stop();
  await directConverged(both.here, both.there, `${DB}.${name}`);
  run.kill("SIGTERM");
  await run.exited;
  const sum = await received(both.there, stateDb);
  if (wasCopying) return; // what was copied twice counts twice
  const record = await both.there.db(stateDb).collection<CaptureRecord>("capture").findOne();
  const next = Number(record?.topics.find((topic) => topic.name === `${DB}.${name}`)?.next);
  assert.equal(sum, next, "every offset was received once, and none was left out");
};

test("killed at the worst moments of a spool: resumed from its last frame, each event once, nothing left behind", {
  concurrency: AT_ONCE,
}, async (t) => {
  const seed = testSeed();
  const points = ["after-spool-frame:3", "after-events:1", "before-spool-delete:1"];
  await Promise.all(points.map((fault) => t.test(fault, () => withSpool(fault, seed))));
});

test("killed during a rename to a name without events: the copied documents still count as ferry's", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const coll = both.here.db(DB).collection("fresh_1");
  await fill(coll, 1500, seed);
  const options = { ...optionsFor(both, "fresh_*", "ferry_fresh") };
  {
    await using first = await startDirect(options);
    await first.says("copy finished");
    first.kill("SIGTERM");
    await first.exited;
  }
  await coll.rename("fresh_2");
  await killed(options, "mid-rename");
  assert.ok((await both.there.db(DB).collection("fresh_2").countDocuments()) > 0, "a part is copied");
  await using _run = await startDirect(options);
  await directConverged(both.here, both.there, `${DB}.fresh_2`);
});

test("source and target are killed and come back: the run continues, equal", async () => {
  const seed = testSeed();
  await using source = await mongo({ name: "source" });
  await using target = await mongo({ name: "target" });
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const coll = here.db(DB).collection("outages");
  await fill(coll, DOCUMENTS, seed);
  const options = { source: source.uri, target: target.uri, include: [`${DB}.*`] };
  await using run = await startDirect({ ...options, args: ["--range-documents", "3000", "--batch-count", "200"] });
  await source.node.crash();
  await source.start();
  await target.node.crash();
  await target.start();
  await run.says("copy finished", 120_000);
  const load = startLoad(coll, { seed, writers: 5, keys: 500, pauseMs: 20 });
  await waitFor(async () => (load.done() > 300 ? { done: undefined } : { seen: load.done() }), {
    what: "changes",
    clock: systemClock,
    timeoutMs: 30_000,
  });
  await load.stop();
  await source.node.crash();
  await source.start();
  await coll.insertOne({ _id: "between" } as Document);
  await target.node.crash();
  await coll.insertOne({ _id: "while the target is away" } as Document);
  await target.start();
  await directConverged(here, there, `${DB}.outages`);
  assert.ok(run.isRunning(), run.logTail(20));
});

test("a process that was frozen while another took over is fenced when it comes back", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const coll = both.here.db(DB).collection("frozen");
  await fill(coll, 2000, seed);
  const options = optionsFor(both, "frozen", "ferry_frozen");
  await using first = await startDirect({ ...options, env: { FERRY_FAULT: "mid-batch:4:stop" } });
  await first.freezes();
  await using second = await startDirect(options);
  await second.says("copy finished", 60_000);
  first.kill("SIGCONT");
  const { code } = await first.exited;
  assert.equal(code, 75, first.logTail(20));
  assert.match(first.log(), /FERRY_FENCED/);
  await directConverged(both.here, both.there, `${DB}.frozen`);
});
