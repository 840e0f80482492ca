import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import type { CaptureLine, LaneLine, Status, WorkerLine } from "#process/report/status.ts";
import { exitOf, summaryOf } from "#surface/terminal/statusSummary.ts";
import { formatStatus, statusWithin } from "../../../../src/surface/cli/statusText.ts";

const NOTHING: Status = {
  topics: [],
  connectors: [],
  ends: [],
  own: null,
  lagMs: null,
  lanes: [],
  workers: [],
  pools: [],
  halted: [],
  letters: [],
  notes: [],
  findings: [],
  unread: [],
};

const lane = (partition: number, slice: number, more: Partial<LaneLine> = {}): LaneLine => ({
  route: "test.users",
  topic: "test.users",
  partition,
  slice,
  owner: "host-1-abcd",
  epoch: 3,
  offset: 1_000_000,
  lag: 0,
  counts: { received: 1_000_000, applied: 999_990, superseded: 10, filtered: 0, dead: 0 },
  filteredBy: {},
  imbalance: 0,
  ...more,
});

const worker = (
  id: string,
  more: Partial<WorkerLine> = {},
  report: Partial<WorkerLine["report"]> = {},
): WorkerLine => ({
  id,
  host: "host",
  pid: 1,
  seenMsAgo: 400,
  alive: true,
  report: {
    partitions: ["test.users/0"],
    appliedPerSecond: 12_345,
    bytesPerSecond: 9_000_000,
    rssMb: 231,
    bufferedBytes: 1024,
    lagMs: 18,
    guarantee: "exactly-once",
    throttle: null,
    ...report,
  },
  ...more,
});

/** The lines below a title, up to the next empty one. */
const sectionOf = (text: string, title: string): string[] => {
  const lines = text.split("\n");
  const at = lines.indexOf(title);
  if (at < 0) return [];
  assert.equal(lines[at + 1], "", `${title} is followed by an empty line`);
  const rest = lines.slice(at + 2);
  return rest.slice(0, rest.indexOf("") < 0 ? rest.length : rest.indexOf(""));
};

test("lanes are shown with position, lag in records, what was done, epoch and owner, in columns", () => {
  const lanes = [
    lane(0, 0),
    lane(0, 1, {
      offset: 7,
      lag: 1234,
      owner: null,
      epoch: 12,
      counts: { ...NO_COUNTS, received: 3, filtered: 3 },
      filteredBy: { where: 2, tombstone: 1 },
    }),
    lane(0, 2, { counts: { ...NO_COUNTS, received: 4, applied: 3 }, imbalance: 1 }),
  ];
  assert.deepEqual(sectionOf(formatStatus({ ...NOTHING, lanes }), "Worker lanes:"), [
    "test.users [0]/0  offset 1,000,000  lag 0      received 1,000,000 applied 999,990 superseded 10 filtered 0 dead 0                                 epoch 3   host-1-abcd",
    "test.users [0]/1  offset 7          lag 1,234  received 3 applied 0 superseded 0 filtered 3 (where 2, tombstone 1) dead 0                         epoch 12  no owner",
    "test.users [0]/2  offset 1,000,000  lag 0      received 4 applied 3 superseded 0 filtered 0 dead 0; THE BOOKS DO NOT BALANCE: 1 event is missing  epoch 3   host-1-abcd",
  ]);
});

test("ferry's own capture is shown with the room that the source's oplog leaves, and warned of where it is short", () => {
  const own: CaptureLine = {
    mode: "direct",
    phase: "copy",
    state: "running",
    owner: "host-1-abcd",
    generation: 1,
    positionMs: 0,
    collections: 2,
    ranges: 9,
    rangesDone: 4,
    documents: 12_345,
    copied: 12_345,
    lagMs: null,
    ended: null,
    estimate: 27_000,
    oplog: { fill: 1, windowSeconds: 7200, leftSeconds: -3, short: true, atMs: 60_000 },
    spool: null,
    limits: { maxSourceLoadMs: null, documentsPerSecond: null },
  };
  const lines = sectionOf(formatStatus({ ...NOTHING, own }), "ferry's own capture:");
  assert.deepEqual(lines, [
    "ferry run: copy of 2 collections, position 1970-01-01T00:00:00.000Z",
    "copied 12,345 documents in 4 of 9 ranges, 45 % of about 27,000",
    "captured by host-1-abcd",
    "the source's oplog reaches back 2 h 0 min, 0 ms of it before the position (at 1970-01-01T00:01:00.000Z); " +
      "FERRY_SOURCE_OPLOG_SHORT: enlarge it, or changes will be lost",
  ]);
  const copied = (part: Partial<CaptureLine>): string | undefined =>
    sectionOf(formatStatus({ ...NOTHING, own: { ...own, ...part } }), "ferry's own capture:")[1];
  assert.equal(copied({ documents: 30_000 }), "copied 30,000 documents in 4 of 9 ranges, 99 % of about 27,000");
  assert.equal(copied({ rangesDone: 9 }), "copied 12,345 documents in 9 of 9 ranges");
  assert.equal(copied({ estimate: null }), "copied 12,345 documents in 4 of 9 ranges");
  const unknown = sectionOf(formatStatus({ ...NOTHING, own: { ...own, oplog: null } }), "ferry's own capture:");
  assert.deepEqual(unknown, lines.slice(0, 3));
  const spool = { bytes: 3 * 2 ** 20 - 5, limitBytes: 10 * 2 ** 30, positionMs: 60_000, atMs: 61_000 };
  const spooled = (full: string | null): string | undefined =>
    sectionOf(formatStatus({ ...NOTHING, own: { ...own, spool: { ...spool, full } } }), "ferry's own capture:").at(-1);
  const held =
    "the change stream is spooled up to 1970-01-01T00:01:00.000Z: 3 MB of at most 10,240 MB (at 1970-01-01T00:01:01.000Z)";
  assert.equal(spooled(null), held);
  assert.equal(spooled("ENOSPC"), `${held}; FERRY_CAPTURE_SPOOL_FULL: ENOSPC`);
});

test("workers are shown with rate, lag in time, memory and guarantee; one that is gone with its silence", () => {
  const workers = [
    worker("host-1-abcd"),
    worker("host-2-ef01", {}, { lagMs: null, appliedPerSecond: 0, guarantee: "at-least-once" }),
    worker("host-3-2345", { alive: false, seenMsAgo: 125_000 }, { lagMs: 4200 }),
    worker("host-4-6789", {}, { throttle: { share: 0.36, latencyMs: 31.24, limitMs: 20 } }),
  ];
  assert.deepEqual(sectionOf(formatStatus({ ...NOTHING, workers }), "Workers:"), [
    "host-1-abcd  alive                   12,345/s  lag 18 ms  231 MB  exactly-once",
    "host-2-ef01  alive                   0/s       lag none   231 MB  at-least-once",
    "host-3-2345  not seen for 2 min 5 s  12,345/s  lag 4.2 s  231 MB  exactly-once",
    "host-4-6789  alive                   12,345/s  lag 18 ms  231 MB  exactly-once   writes 36 % of the time, the target answers in 31.2 ms of 20 ms",
  ]);
});

test("what is halted, needs attention or could not be read is shown with code and reason", () => {
  const { hint } = CATALOGUE.FERRY_CAPTURE_GAP;
  const text = formatStatus({
    ...NOTHING,
    halted: [{ route: "test.users", code: "FERRY_APPLY_DDL", detail: "rename at offset 7" }],
    findings: [
      { code: "FERRY_CAPTURE_GAP", connector: "a", sentence: "7 are missing", remedy: hint, dataAtStake: true },
      { code: "FERRY_CAPTURE_NOT_RUNNING", connector: "b", sentence: "b is paused", remedy: "Go.", dataAtStake: false },
    ],
    notes: [{ route: "slim", code: "FERRY_ROUTE_RULES", detail: "since noon" }],
    unread: [{ part: "source", reason: "FERRY_MONGO_UNREACHABLE: no" }],
  });
  assert.deepEqual(sectionOf(text, "Halted:"), ["test.users  FERRY_APPLY_DDL: rename at offset 7"]);
  assert.deepEqual(sectionOf(text, "Needs attention:"), [
    "DATA AT STAKE  FERRY_CAPTURE_GAP: 7 are missing",
    `  ${hint}`,
    "FERRY_CAPTURE_NOT_RUNNING: b is paused",
    "  Go.",
    `slim  FERRY_ROUTE_RULES: ${CATALOGUE.FERRY_ROUTE_RULES.meaning} (since noon)`,
    `  ${CATALOGUE.FERRY_ROUTE_RULES.hint}`,
  ]);
  assert.deepEqual(sectionOf(text, "Could not be read:"), ["source: FERRY_MONGO_UNREACHABLE: no"]);
});

test("a route to a pool says what it changed and saved, and how long its quota needs for what waits", () => {
  const pool = { route: "users-to-cognito", pool: "eu_a", changed: 1_001, unchanged: 100_000, perSecond: 49.8 };
  const text = formatStatus({
    ...NOTHING,
    pools: [
      { ...pool, leftMs: 7_200_000 },
      { ...pool, route: "all", leftMs: null },
    ],
  });
  const cells = "pool eu_a  1,001 users changed  100,000 documents needed no call  at most 50/s lately";
  assert.deepEqual(sectionOf(text, "User pools:"), [
    `users-to-cognito  ${cells}: about 2 h 0 min for what waits`,
    `all               ${cells}`,
  ]);
});

test("a part that is empty has no title, but the list of connectors is always there", () => {
  assert.equal(
    formatStatus(NOTHING),
    "0 connectors, 0 workers; no dead letters; needs no action\n\nCurrently configured connectors\n\n[]",
  );
});

test("one line of summary, and the exit status of the gravest thing that needs action", () => {
  const own: CaptureLine = {
    ...{ mode: "kafka", phase: "stream", state: "running", owner: "host-1-abcd", generation: 1, positionMs: 0 },
    ...{ collections: 1, ranges: 1, rangesDone: 1, documents: 2_000_000, copied: 600_000, estimate: 1 },
    ...{ lagMs: 0, ended: null, oplog: null, spool: null },
    limits: { maxSourceLoadMs: null, documentsPerSecond: null },
  };
  const lanes = [lane(0, 0, { lag: 0 })];
  assert.equal(
    summaryOf({ ...NOTHING, own, lanes, lagMs: 0 }),
    "running, stream; copied 600,000; lag 0 ms; no dead letters; needs no action",
  );
  assert.equal(exitOf({ ...NOTHING, own, lanes }), 0);
  assert.match(summaryOf({ ...NOTHING, own }), /needs action: 2,000,000 documents in Kafka, and no worker runs$/);
  const left = { ...NOTHING, lanes, own: { ...own, owner: null, lagMs: 13_000 } };
  assert.match(summaryOf(left), /^not running.*needs action: changes of the source wait and no process captures$/);
  assert.equal(exitOf(left), 75);
  const letters = [{ route: "a.b", letters: 450 }];
  assert.match(summaryOf({ ...NOTHING, letters }), /; 450 dead letters; needs action: decide on the dead letters/);
  assert.match(
    summaryOf({ ...NOTHING, letters: letters.slice(0, 1).map((one) => ({ ...one, letters: 1 })) }),
    /; 1 dead letter; /,
  );
  assert.equal(exitOf({ ...NOTHING, letters }), 76);
  const ended = { code: "FERRY_SOURCE_HISTORY_LOST" as const, detail: "gone", at: new Date(0) };
  const dead = { ...NOTHING, lanes, own: { ...own, owner: null, ended } };
  assert.match(summaryOf(dead), /^not running, stream; .*needs action: it ended with FERRY_SOURCE_HISTORY_LOST$/);
  assert.equal(exitOf(dead), 76);
  assert.equal(exitOf({ ...NOTHING, lanes: [lane(0, 0, { lag: 3 })] }), 75, "records, and no worker");
  assert.equal(exitOf({ ...NOTHING, unread: [{ part: "target", reason: "no answer" }] }), 69);
});

test("on a terminal no line is wider, but for those that the run book shows", () => {
  const row = `source  |  mongo-source-connect  |  RUNNING  |  RUNNING  |  ${"x".repeat(60)}`;
  const text = `a summary ${"word ".repeat(20)}\n${row}\n% Reached end of topic ${"t".repeat(90)} [0] at offset 100`;
  const lines = statusWithin(text, 40).split("\n");
  assert.ok(lines.includes(row));
  assert.match(lines.at(-1) ?? "", /^% Reached end .* at offset 100$/);
  assert.ok(lines.slice(0, -2).every((line) => line.length <= 40));
});
