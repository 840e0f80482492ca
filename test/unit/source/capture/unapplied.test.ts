import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Timestamp } from "bson";
import type { Clock } from "#base/flow/clock.ts";
import { Unapplied } from "#source/capture/unapplied.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";

const at = (seconds: number): Uint8Array => BSON.serialize({ clusterTime: new Timestamp({ t: seconds, i: 1 }) });
const token = (seconds: number): ResumeToken =>
  ResumeToken.stored({ _data: `82${seconds.toString(16).padStart(8, "0").toUpperCase()}000000012B04` });

test("lag is the age of the first event behind the saved position; 0 when the stream is at its end and all of it is saved", () => {
  let now = 100_000;
  const clock: Clock = { now: () => now, sleep: () => Promise.resolve() };
  const lag = new Unapplied(clock, token(60));
  assert.equal(lag.age(now), 100_000 - 60_999, "nothing is known yet but the position");
  lag.took([at(70), at(71)], token(71), false, true);
  assert.equal(lag.age(now), 100_000 - 70_999);
  lag.took([at(80)], token(80), true, true); // behind the position that is being saved
  lag.saved();
  assert.equal(lag.age(now), 100_000 - 80_999);
  now = 137_000;
  assert.equal(lag.age(now), 137_000 - 80_999, "it grows while nothing is applied");
  lag.saved();
  lag.took([], token(130), false, true);
  assert.equal(lag.age(now), 0);
  now += 10_000;
  assert.equal(lag.age(now), 147_000 - 130_999, "a silent source: only the position tells");
  lag.took([], token(131), false, false);
  assert.equal(lag.age(now), 147_000 - 131_999, "what is spooled is still to come");
});
