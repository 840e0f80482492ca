import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_VITALS, type Sample } from "#base/observe/vitals.ts";
import { LINES } from "#surface/live/bar.ts";
import { HeardVitals } from "#surface/live/heardVitals.ts";
import { pictureLines } from "#surface/live/picture.ts";
import { WorkPicture } from "#surface/live/workPicture.ts";
import { PLAIN } from "#surface/terminal/palette.ts";

const shown = (picture: WorkPicture, at: number): readonly string[] =>
  pictureLines(picture.at(at), { columns: 100, palette: PLAIN, glyphs: LINES });

test("a run shows how its copy gets on, then its stream, and how it catches up", () => {
  const vitals = new HeardVitals(NO_VITALS);
  const picture = new WorkPicture("run", vitals, 0);
  assert.deepEqual(shown(picture, 0), ["ferry run  starting, or waiting for a server · 0 s"]);
  using _part = vitals.part("capture", () => undefined);
  let samples: readonly Sample[] = [];
  using _shown = vitals.show(() => samples);
  const copying = (documents: number): readonly Sample[] => [
    ["ferry_capture_phase", { phase: "copy" }, 1],
    ["ferry_copied_documents", {}, documents],
    ["ferry_copy_estimated_documents", {}, 1000],
    ["ferry_copy_ranges", {}, 4],
    ["ferry_copy_done_ranges", {}, 1],
  ];
  samples = copying(0);
  shown(picture, 1000);
  samples = copying(400);
  vitals.count("ferry_events_total", { route: "a.b", outcome: "applied" }, 400);
  assert.deepEqual(shown(picture, 3000), [
    "ferry run  copy · 3 s",
    "copy     ━━━━━━━━╸───────────   40 %  400 of 1,000 documents  200/s  3 s left  1 of 4 ranges",
    "target   400 events settled · no dead letters",
  ]);
  const streaming = (seconds: number): readonly Sample[] => [
    ["ferry_capture_phase", { phase: "stream" }, 1],
    ["ferry_copied_documents", {}, 1100],
    ["ferry_capture_lag_seconds", {}, seconds],
  ];
  samples = streaming(40);
  shown(picture, 6000);
  samples = streaming(30);
  vitals.count("ferry_captured_events_total", {}, 500);
  assert.deepEqual(shown(picture, 8000), [
    "ferry run  stream · 8 s",
    "copy     ━━━━━━━━━━━━━━━━━━━━  100 %  1,100 documents  220/s",
    "stream   500 changes  250/s",
    "catch up ━━━━━╸──────────────   25 %  10 of 40 s behind  5/s  6 s left",
    "target   30.0 s behind · 400 events settled · no dead letters",
  ]);
  samples = streaming(0.2);
  assert.deepEqual(shown(picture, 10_000).slice(2), [
    "stream   500 changes  125/s",
    "target   0.2 s behind · 400 events settled · no dead letters",
  ]);
});

test("a worker shows what it has done of what waits, and what needs a person; why it does not work stands first", () => {
  const vitals = new HeardVitals(NO_VITALS);
  const picture = new WorkPicture("worker", vitals, 0);
  let obstacle: string | undefined;
  using _part = vitals.part("worker", () => obstacle);
  using _shown = vitals.show(() => [
    ["ferry_waiting_records", { route: "a.b" }, 100],
    ["ferry_waiting_records", { route: "c.d" }, 200],
    ["ferry_held_partitions", { route: "a.b" }, 1],
    ["ferry_lag_seconds", { route: "a.b" }, 7.25],
    ["ferry_lag_seconds", { route: "c.d" }, 1],
    ["ferry_dead_letter_documents", { route: "a.b" }, 3],
    ["ferry_route_halted", { route: "a.b" }, 0],
    ["ferry_route_halted", { route: "c.d" }, 1],
    ["ferry_throttle_ratio", { side: "target" }, 0.36],
  ]);
  vitals.count("ferry_events_total", { route: "a.b", outcome: "applied" }, 90);
  vitals.count("ferry_events_total", { route: "a.b", outcome: "filtered" }, 10);
  const lines = shown(picture, 5000);
  assert.deepEqual(lines, [
    "ferry worker  applying · 5 s",
    "apply    ━━━━━╸──────────────   25 %  100 of 400 records",
    "target   7.3 s behind · 100 events settled · 1 partition · 3 dead letters · throttled to 36 %",
    "needs    c.d is halted: `ferry status`",
    "needs    decide on the dead letters: `ferry dlq list`",
  ]);
  obstacle = "the target has taken no report for 4 s";
  assert.equal(shown(picture, 6000)[0], "ferry worker  worker: the target has taken no report for 4 s · 6 s");
  picture.end();
  assert.deepEqual(shown(picture, 7000), ["ferry worker  stopped · 7 s", ...lines.slice(1)]);
});
