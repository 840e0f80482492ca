import { test } from "node:test";
import fc from "fast-check";
import { anySchedule } from "../../../harness/simulation/schedule.ts";
import { simulate } from "../../../harness/simulation/world.ts";

/** More of them: `npm run simulate`. */
const SCHEDULES = 500;

test("whatever happens between any two steps, the target and the books are what the log says", async () => {
  await fc.assert(fc.asyncProperty(anySchedule, simulate), { numRuns: SCHEDULES, seed: 20261129, endOnFailure: true });
});
