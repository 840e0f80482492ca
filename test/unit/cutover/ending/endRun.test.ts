import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { type EndDeps, endRun } from "#cutover/ending/endRun.ts";
import type { SeenRun } from "#source/capture/captureLifecycle.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

const TO = new Timestamp({ t: 5, i: 1 });

/** A run's record as it is, at each look; the last one stays. */
const ending = (looks: readonly Readonly<{ owned?: boolean; [field: string]: unknown }>[]) => {
  const clock = new FakeClock();
  const said: string[] = [];
  const asked: unknown[] = [];
  const left = [...looks];
  const seen = async (): Promise<SeenRun> => {
    const { owned = true, ...record } = (left.length > 1 ? left.shift() : left[0]) ?? {};
    return { record: { mode: "direct", phase: "stream", ...record }, owned } as unknown as SeenRun;
  };
  const control = { finalize: async (...to: unknown[]) => asked.push(to), seen };
  const signal = new AbortController().signal;
  const say = (_: SeenRun, state: string): void => {
    said.push(state);
  };
  const deps = { control, clock, signal, say, accepted: ["FERRY_RUN_LETTERS"] } as unknown as EndDeps;
  return { clock, said, asked, ended: endRun(deps, TO) };
};

const WANTED = { wanted: "finalized" };
const OVER = { lifecycle: { ...WANTED, finalizedAt: new Date(0) } };

test("a run is asked to drain to the time, and is watched until it is over; each of its states is said once", async () => {
  const { clock, said, asked, ended } = ending([{}, { lifecycle: WANTED }, { lifecycle: WANTED }, OVER]);
  await clock.pass(1000);
  assert.deepEqual((await ended).lifecycle, OVER.lifecycle);
  assert.deepEqual(asked, [[TO, ["FERRY_RUN_LETTERS"]]]);
  assert.deepEqual(said, ["running", "draining"]);
});

test("a run that refuses to end, or that ended by an error, is not waited for: its own error comes out", async () => {
  const refused = { code: "FERRY_RUN_LETTERS", detail: "3 dead letters wait" };
  await assert.rejects(ending([{ lifecycle: { wanted: null, refused } }]).ended, refused);
  const lost = { code: "FERRY_SOURCE_HISTORY_LOST", detail: "gone" };
  await assert.rejects(ending([{ lifecycle: WANTED, ended: lost, owned: false }]).ended, {
    ...{ code: lost.code, detail: "not running: gone" },
  });
});

test("a run whose last process ended by an error is waited for while another process owns it", async () => {
  const former = { code: "FERRY_SOURCE_HISTORY_LOST", detail: "gone" };
  const { clock, ended } = ending([{ lifecycle: WANTED, ended: former }, OVER]);
  await clock.pass(1000);
  assert.deepEqual((await ended).lifecycle, OVER.lifecycle);
});
