import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Status } from "#process/report/status.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { bothSides } from "../harness/bothSides.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { bareEnvironment, ferry, NODE_FLAGS } from "../harness/ferry.ts";
import { ferryArgs } from "../harness/leastPrivileged.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { canOpenTerminals, OnTerminal } from "../harness/onTerminal.ts";
import { Screen } from "../harness/screen.ts";

test("copies a collection while it is written to, then follows it: equal byte for byte", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const users = both.here.db("one").collection("users");
  await fill(users, 5000, seed);
  const load = startLoad(users, { seed, writers: 20, keys: 8000, pauseMs: 20 });
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["one.users"],
    args: ["--state-db", "ferry_one"],
  });
  await run.says("copy finished");
  await users.insertOne({ _id: "after the copy" } as Document);
  await load.stop();
  const found = await directConverged(both.here, both.there, "one.users");
  assert.ok(found.source > 4000, JSON.stringify(found));
  run.kill("SIGTERM");
  const { signal } = await run.exited;
  assert.equal(signal, "SIGTERM", run.logTail(20));
  const record = await both.there.db("ferry_one").collection("capture").findOne({});
  assert.equal(record?.["phase"], "stream");
  assert.equal(record?.["owner"], null);
});

const NO_TERMINAL = canOpenTerminals() ? false : "no Python 3, which opens the terminal";

test("on a terminal bars stand below the log while it works; status --watch has it to itself, and leaves it as it was", {
  skip: NO_TERMINAL,
}, async () => {
  await using both = await bothSides();
  await both.here
    .db("seen")
    .collection("c")
    .insertMany(Array.from({ length: 100 }, (_, n) => ({ n })));
  const env = { ...bareEnvironment(), TERM: "xterm-256color", LANG: "C.UTF-8" };
  const state = ["--target", both.target.uri, "--state-db", "ferry_seen"];
  const command = (...args: string[]): string[] => [process.execPath, ...NODE_FLAGS, ...ferryArgs([...args, ...state])];
  await using run = new OnTerminal([80, 24], command("run", "--source", both.source.uri, "--include", "seen.c"), env);
  await run.shows(/ferry run.*stream/);
  await run.shows(/100 events.* settled/);
  await run.type("\u0013"); // Ctrl-S: the terminal takes nothing more, and the run goes on
  await both.here
    .db("seen")
    .collection("c")
    .insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  await directConverged(both.here, both.there, "seen.c");
  assert.doesNotMatch(run.text, /15\d events.* settled/);
  await run.type("\u0011"); // Ctrl-Q
  await run.shows(/15\d events.* settled/);
  await using watch = new OnTerminal([100, 30], command("status", "--watch"), env);
  await watch.shows(/15\d applied/);
  await watch.type("q");
  assert.equal(await watch.ends(), 0, watch.text.slice(-500));
  run.signal("SIGINT");
  assert.equal(await run.ends(), -2, "it ends by the signal, as a shell expects");
  using shown = new Screen(80);
  using watched = new Screen(100, 30);
  await shown.write(run.text);
  await watched.write(watch.text);
  const lines = shown.lines.map((line) => line.replace(/\d+ s$/, "N s"));
  assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d {2}\S/, "the log is text");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("ferry run")),
    ["ferry run  stopped · N s"],
  );
  assert.deepEqual([shown.cursor.x, shown.cursor.y], [0, shown.lines.length]);
  assert.deepEqual([watched.isAlternate, watched.lines], [false, []]);
});

test("the position moves every second on an idle source, past a write that is not selected; ferry status shows it", async () => {
  await using both = await bothSides();
  await both.here.db("idle").collection("c").insertOne({ n: 1 });
  const stateDb = "ferry_idle";
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["idle.c"],
    args: ["--state-db", stateDb],
  });
  await run.says("copy finished");
  const reply = await both.here.db("elsewhere").command({ insert: "c", documents: [{ n: 1 }] });
  const at = (reply["operationTime"] as { toBigInt(): bigint }).toBigInt();
  const captures = both.there.db(stateDb).collection<CaptureRecord>("capture");
  // By itself the server writes a no-op every ten seconds.
  const positions = new Set<string>();
  await waitFor(
    async () => {
      const { token, oplog } = (await captures.findOne({})) ?? {};
      if (token !== undefined && tokenTime(token) > at) positions.add(token._data);
      return positions.size > 3 && oplog !== undefined ? { done: undefined } : { seen: { positions, oplog } };
    },
    { what: "the position to move", clock: systemClock, timeoutMs: 9000, everyMs: 100 },
  );
  const asked = ["status", "--target", both.target.uri, "--state-db", stateDb];
  const status = await ferry(asked);
  assert.equal(status.status, 0, status.err);
  assert.match(status.out, /ferry run: stream of 1 collections, position 20/);
  assert.match(status.out, /captured by /);
  assert.match(status.out, /the source's oplog reaches back .+ before the position/);
  const { own } = JSON.parse((await ferry([...asked, "--json"])).out) as Status;
  assert.equal(own?.estimate, 1);
  assert.ok((own?.oplog?.windowSeconds ?? -1) >= (own?.oplog?.leftSeconds ?? 0), JSON.stringify(own?.oplog));
});

test("stopped softly and hard during the copy: it resumes each time", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const coll = both.here.db("stops").collection("c");
  await fill(coll, 30_000, seed);
  const stateDb = "ferry_stops";
  const options = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["stops.c"],
    args: ["--state-db", stateDb, "--range-documents", "1000", "--batch-count", "100", "--budget-mb", "1"],
  };
  const ranges = both.there.db(stateDb).collection<RangeRecord>("copyRanges");
  let before = 0;
  // Two signals of one kind would reach a frozen process as one.
  const stops: readonly (readonly NodeJS.Signals[])[] = [["SIGTERM"], ["SIGTERM", "SIGINT"]];
  for (const stop of stops) {
    // Frozen where it has read a few ranges more, so that no stop comes too late.
    await using run = await startDirect({ ...options, env: { FERRY_FAULT: "after-range:3:stop" } });
    await run.freezes();
    for (const signal of stop) run.kill(signal);
    run.kill("SIGCONT");
    const { signal } = await run.exited;
    assert.ok(signal !== null && stop.includes(signal), run.logTail(20));
    const [done, all] = [await ranges.countDocuments({ done: true }), await ranges.countDocuments()];
    assert.ok(done >= Math.max(before, 1) && done < all, `${before} ranges of ${all} were done, ${done} are`);
    before = done;
  }
  await using _run = await startDirect(options);
  const found = await directConverged(both.here, both.there, "stops.c");
  assert.equal(found.source, 30_001);
});
