import assert from "node:assert/strict";
import { test } from "node:test";
import type { Overview } from "#process/report/overview.ts";
import type { LaneLine } from "#process/report/status.ts";
import { LINES } from "#surface/live/bar.ts";
import { CutoverPicture } from "#surface/live/cutoverPicture.ts";
import { ENTER, LEAVE, screenful } from "#surface/live/fullScreen.ts";
import { OverviewPicture } from "#surface/live/overviewPicture.ts";
import { type Picture, pictureLines } from "#surface/live/picture.ts";
import { StructurePicture } from "#surface/live/structurePicture.ts";
import { VerifyPicture } from "#surface/live/verifyPicture.ts";
import { wrapped } from "#surface/terminal/cells.ts";
import { PLAIN } from "#surface/terminal/palette.ts";
import { Screen } from "../../../harness/screen.ts";

const lane = (partition: number, lag: number, owner: string | null): LaneLine => ({
  ...{ route: "test.users", topic: "test.users", partition, slice: 0, owner, epoch: 3, offset: 9, lag, filteredBy: {} },
  ...{ counts: { received: 1000, applied: 990, superseded: 0, filtered: 10, dead: 0 }, imbalance: 0 },
});

const FOUND: Overview = {
  ...{ at: new Date(0), topics: [], connectors: [], ends: [], pools: [], notes: [], findings: [], unread: [] },
  own: {
    ...{ mode: "kafka", phase: "copy", state: "running", owner: "host-1-abcd", generation: 1, positionMs: 0 },
    ...{ collections: 1, ranges: 60, rangesDone: 37, documents: 2_000_000, copied: 1_861_230, estimate: 3_000_000 },
    ...{ lagMs: 300, ended: null, limits: { maxSourceLoadMs: null, documentsPerSecond: null }, spool: null },
    oplog: { fill: 1, windowSeconds: 7200, leftSeconds: 3600, short: false, atMs: 0 },
  },
  lagMs: 300,
  lanes: [lane(0, 0, "host-2-ef01"), lane(1, 1234, null)],
  workers: [
    {
      ...{ id: "host-2-ef01", host: "host", pid: 1, seenMsAgo: 400, alive: true },
      report: {
        ...{ partitions: ["test.users/0"], appliedPerSecond: 12_345, bytesPerSecond: 9_000_000, rssMb: 231 },
        ...{ bufferedBytes: 1024, lagMs: 18, guarantee: "exactly-once", throttle: null },
      },
    },
  ],
  halted: [],
  letters: [{ route: "test.users", letters: 3 }],
  conflicts: [{ route: "test.users", winner: "source", count: 2 }],
  drift: 1,
  verification: { routes: [], structure: null },
  cutover: null,
};

const linesOf = (picture: Picture, columns = 100): readonly string[] =>
  pictureLines(picture, { columns, palette: PLAIN, glyphs: LINES });

test("the overview shows how far, how far behind, what needs a person, and the lanes with the most to do first", () => {
  assert.deepEqual(linesOf(new OverviewPicture().of(FOUND, 0)), [
    "ferry status  running, copy · 0.3 s behind",
    "copy     ━━━━━━━━━━━━╸───────   62 %  1,861,230 of 3,000,000 documents  37 of 60 ranges",
    "apply    ━━━━━━━━━━━━╸───────   61 %  2,000 of 3,234 records",
    "source   captured by host-1-abcd · 1 h 0 min of the oplog left",
    "target   1,980 applied · books balance · 3 dead letters · 20 filtered",
    "people   not verified yet · 1 new fields or types · 2 conflicts",
    "needs    decide on the dead letters (`ferry dlq list`)",
    "",
    "Workers",
    "worker                  rate  behind  memory  partitions",
    "host-2-ef01  alive  12,345/s   18 ms  231 MB           1",
    "",
    "Lanes",
    "lane              waiting  received  applied  dead  owner",
    "test.users [1]/0    1,234     1,000      990     0  no owner",
    "test.users [0]/0        0     1,000      990     0  host-2-ef01",
  ]);
});

test("a full screen is drawn over itself at every width, and what was there before is there again", async () => {
  for (const columns of [40, 80, 100, 200]) {
    using screen = new Screen(columns, 12);
    await screen.write("$ ferry status --watch\n");
    const before = [screen.lines, screen.cursor];
    const lines = linesOf(new OverviewPicture().of(FOUND, 0), columns);
    await screen.write(ENTER);
    await screen.write(screenful(["x".repeat(columns), ...lines], 12));
    await screen.write(screenful(lines, 12));
    assert.ok(screen.isAlternate);
    assert.equal(screen.lines.join("\n"), lines.slice(0, 12).join("\n").trimEnd());
    assert.equal(screen.wrapped, 0);
    await screen.write(screenful(lines.slice(0, 3), 12));
    assert.deepEqual(screen.lines, lines.slice(0, 3));
    await screen.write(LEAVE);
    assert.ok(!screen.isAlternate);
    assert.deepEqual([screen.lines, screen.cursor], before);
  }
});

test("a verification shows what it has compared of what there is, and what it has found", () => {
  const picture = new VerifyPicture(0);
  picture.estimate(2000);
  picture.compared("test.users", 0);
  picture.at(0);
  picture.compared("test.users", 1000);
  const result = { route: "test.a", documents: 7, wrong: 2, examples: [], excused: 0, behind: 1, at: 0n };
  picture.result(result);
  assert.deepEqual(linesOf(picture.at(2000)), [
    "ferry verify  2 s",
    "compare  ━━━━━━━━━━╸─────────   50 %  1,000 of 2,000 documents  500/s  2 s left  test.users",
    "so far   1 collection compared · 2 wrong · 1 behind",
  ]);
});

test("a build shows its step of the plan, and how far the server is with an index", () => {
  const picture = new StructurePicture(0);
  const step = { at: 3, of: 4 };
  const progress = { phase: "Index Build: scanning collection", done: 120_000, total: 1_000_000 };
  picture.tell({ ns: "test.users", does: "creates index email_1", state: "progress", step, progress });
  assert.deepEqual(linesOf(picture.at(1000)), [
    "ferry structure  1 s",
    "build    ━━━━━━━━━━╸─────────   50 %  2 of 4 steps",
    "index    ━━╸─────────────────   12 %  120,000 of 1,000,000  Index Build: scanning collection",
    "now      test.users  creates index email_1",
  ]);
  picture.tell({ ns: "test.users", does: "creates index email_1", state: "done", step, ms: 7 });
  assert.deepEqual(linesOf(picture.at(2000)).length, 2);
});

test("a cutover shows how much of the longest pause is over, and what its steps took", () => {
  const picture = new CutoverPicture("ferry cutover", 0);
  picture.tell({ state: "approaching", laps: { checking: 12.4 }, maxPauseMs: 5000 }, 100);
  picture.tell({ state: "fencing", laps: { checking: 12.4 }, maxPauseMs: 5000 }, 1000);
  assert.deepEqual(linesOf(picture.at(2000)), [
    "ferry cutover  fencing · 2 s",
    "pause    ━━━━╸───────────────   20 %  1,000 of 5,000 ms at most",
    "steps    checking 12 ms",
  ]);
});

test("a line that is too wide is broken between words, and goes on indented", () => {
  assert.equal(wrapped("a bb ccc\n  dddd eeee ffff\nx", 11), "a bb ccc\n  dddd eeee\n      ffff\nx");
  assert.equal(wrapped("averyveryverylongword", 5), "averyveryverylongword");
  assert.equal(wrapped("日本 語語 語", 9), "日本 語語\n    語");
});
