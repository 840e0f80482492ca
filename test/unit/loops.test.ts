import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

/**
 * What waits and looks again does so by one of the tree's loops: `every` (periodic work), `lookUntil` (until there is an answer),
 * `waitFor` (the same, with a deadline), `retry` (until it succeeds). They end by a signal, and in time that a test owns.
 */
const LOOPS = join("base", "flow");

/** Who sleeps otherwise, and for what: one pause of a length of its own. */
const PAUSES: Readonly<Record<string, string>> = {
  "apply/pipeline/lane.ts": "a throttle's rest; an idle lane's, which new records end",
  "apply/pipeline/laneWriter.ts": "before a batch is written again while the target builds an index",
  "cutover/machine/machine.ts": "until servers have decided on what a process that is gone asked of them",
  "proof/verify/verification.ts": "a throttle's rest",
  "sink/cognito/quota.ts": "the turn of a call in its quota",
  "source/capture/readAhead.ts": "for room, between reading until there is none and reading on",
  "source/copy/copy.ts": "a throttle's rest",
  "surface/cli/commands/control/serveControl.ts": "a page that watches sees how a job ended",
  "surface/cli/commands/status.ts": "a time limit",
  "surface/live/fullScreen.ts": "draws again and again, and keeps no process alive for it",
  "surface/live/liveView.ts": "the same",
  "tools/workload/genDataWorkload.ts": "the rate of a workload",
  "tools/workload/people.ts": "the rate of a workload",
};

const sleeps = (file: string): boolean =>
  /\.sleep\(|\bpauseFor\(|\bsetInterval\(|timers\/promises/.test(readFileSync(join("src", file), "utf8"));

test("no file loops over look and sleep by hand: those that sleep are listed here with the reason", () => {
  const found = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && dirname(name) !== LOOPS)
    .filter(sleeps);
  assert.deepEqual(found.sort(), Object.keys(PAUSES).sort());
});
