import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Logger } from "#base/observe/log.ts";
import { type JobAsked, Jobs } from "#process/control/jobs.ts";

const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const ASKED: JobAsked = { act: "cutover", on: "s.a", choice: { named: ["s.a"] }, by: { via: "api", who: "a test" } };

const jobs = (signal = new AbortController().signal) => new Jobs({ clock: { now: () => 0 }, logger: SILENT, signal });

/** Ends when its signal aborts, as what that aborts with. */
const untilStopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

test("asked again while it is under way, it is the same job; another one is refused", async () => {
  const desk = jobs();
  let begun = 0;
  const work = async (...[, { signal, shown }]: Parameters<Parameters<Jobs["ask"]>[1]>) => {
    begun++;
    shown();
    await untilStopped(signal);
  };
  const first = await desk.ask(ASKED, work);
  assert.equal(await desk.ask({ ...ASKED, choice: { named: ["s.a"] } }, work), first);
  await assert.rejects(desk.ask({ ...ASKED, act: "finalize" }, work), (error) => isFerry(error, "FERRY_CUTOVER_ALIVE"));
  await assert.rejects(desk.ask({ ...ASKED, choice: {} }, work), (error) => isFerry(error, "FERRY_CUTOVER_ALIVE"));
  const why = new FerryError("FERRY_CUTOVER_INTERRUPTED", "taken back");
  assert.equal(await desk.stop(why), first);
  assert.deepEqual(
    [first.refused, first.endedAt, desk.current, desk.last, begun],
    [why, new Date(0), undefined, first, 1],
  );
});

test("what fails before there is anything to show is the answer; what fails later is told with the job", async () => {
  const desk = jobs();
  const refused = new FerryError("FERRY_RUN_NONE", "no run");
  await assert.rejects(
    desk.ask(ASKED, async () => {
      throw refused;
    }),
    refused,
  );
  const { promise: told, reject } = Promise.withResolvers<never>();
  const later = await desk.ask(ASKED, async (_, { shown }) => {
    shown();
    await told;
  });
  assert.equal(later.endedAt, null);
  reject(new Error("not one of ferry's"));
  await desk[Symbol.asyncDispose]();
  assert.equal(later.refused?.code, "FERRY_BUG");
});

test("a stop of the process stops the job, and its end is waited for", async () => {
  const stop = new AbortController();
  const desk = jobs(stop.signal);
  const job = await desk.ask(ASKED, async (_, { signal, shown }) => {
    shown();
    await untilStopped(signal);
  });
  stop.abort(new FerryError("FERRY_STOPPED", "by a signal"));
  await desk[Symbol.asyncDispose]();
  assert.equal(job.refused?.code, "FERRY_STOPPED");
});
