import { test } from "node:test";
import fc from "fast-check";
import { anyCaptureSchedule } from "../../../harness/simulation/captureSchedule.ts";
import { simulateCapture } from "../../../harness/simulation/captureWorld.ts";

/** More of them: `npm run simulate`. */
const SCHEDULES = 80;

test("whatever happens between any two steps, each event has one place in the log, and the target is the source", async () => {
  const property = fc.asyncProperty(anyCaptureSchedule, simulateCapture);
  await fc.assert(property, { numRuns: SCHEDULES, seed: 20261130, endOnFailure: true });
});
