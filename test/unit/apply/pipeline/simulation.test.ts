import { test } from "node:test";
import fc from "fast-check";
import { PLAIN, type RouteTraits } from "../../../harness/simulation/route.ts";
import { anySchedule, type Schedule, type Step } from "../../../harness/simulation/schedule.ts";
import { simulate } from "../../../harness/simulation/world.ts";

/** More of them: `npm run simulate`. */
const SCHEDULES = 200;

test("whatever happens between any two steps, the target and the books are what the log says", async () => {
  await fc.assert(fc.asyncProperty(anySchedule, simulate), { numRuns: SCHEDULES, seed: 20261129, endOnFailure: true });
});

const scheduleOf = (route: Partial<RouteTraits>, steps: readonly Step[]): Schedule => ({
  mode: "transactional",
  route: { ...PLAIN, ...route },
  ...{ slices: 1, batchCount: 1, budgetBytes: 100_000, seed: 1 },
  copied: [{ bad: false, more: false }],
  duringCopy: [],
  steps,
});

const set = (field: "a" | "b", kind: "clear" | "unclear"): Step => ({ do: "set", key: 0, field, value: 1, kind });
const SERVICE: Step = { do: "foreign", key: 0, what: "own", value: 2 };
const REST: Step = { do: "rest", ms: 1100 };

for (const policy of ["merge", "keep-target"] as const)
  test(`${policy}: a dead letter that is replayed spares what a service of the target wrote since`, () =>
    simulate(scheduleOf({ source: "look-up", policy, drift: "hold" }, [set("b", "clear"), REST, SERVICE])));

test("merge: an update that is completed from the source spares the target's own fields", () =>
  simulate(scheduleOf({ source: "rescue", policy: "merge", drift: "pass" }, [SERVICE, REST, set("a", "unclear")])));
