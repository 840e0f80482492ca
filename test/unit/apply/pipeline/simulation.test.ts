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

test("merge: a delete finds what another lane, or an owner before this one, has copied a moment ago", async () => {
  const copied = Array.from({ length: 6 }, (_, n) => ({ bad: n === 2, more: true }));
  const route = { source: "none", policy: "merge", drift: "pass", filter: "deny" } as const;
  const steps: Step[] = [{ do: "delete", key: 5 }];
  for (let n = 0; n < 80; n++) await simulate({ ...scheduleOf(route, steps), copied, budgetBytes: 1, seed: n * 7919 });
});

test("what the first document begins the drift ledger with is known, whichever lane is killed before it is applied", async () => {
  const put = (key: number, more: boolean): Step => ({ do: "put", key, value: 1, bad: false, more });
  const puts = [put(0, true), put(1, false), put(2, false), put(3, false)];
  for (let after = 8; after < 14; after++) {
    const steps: Step[] = [REST, { do: "fault", fault: "kill", after }, ...puts, REST, { do: "takeover", slices: 2 }];
    await simulate({ ...scheduleOf({ drift: "hold" }, steps), slices: 2, batchCount: 8, copied: [] });
  }
});

test("a route that stops before its first document is applied knows that one's fields when it is started again", async () => {
  const put = (key: number, more: boolean): Step => ({ do: "put", key, value: 1, bad: false, more });
  const steps: Step[] = [REST, put(0, false), put(1, true), put(2, true), put(3, true)];
  for (let seed = 0; seed < 10; seed++)
    await simulate({ ...scheduleOf({ drift: "stop" }, steps), seed, slices: 2, batchCount: 8, copied: [] });
});

const rows = (count: number): Schedule["copied"] => Array.from({ length: count }, () => ({ bad: false, more: true }));

test("without transactions: a letter whose event comes to nothing the second time is counted", async () => {
  const route = { source: "look-up", drift: "hold", filter: "where" } as const;
  const steps: Step[] = [set("a", "unclear"), { do: "rest", ms: 5 }, { do: "delete", key: 0 }];
  for (let after = 0; after < 12; after++)
    for (let seed = 0; seed < 6; seed++)
      await simulate({
        ...scheduleOf(route, [REST, { do: "fault", fault: "kill", after }, ...steps]),
        ...{ mode: "standalone", copied: rows(1), seed },
      });
});

test("a former owner that is about to apply a drop finds that it was taken over, and holds no document", () => {
  const route = { source: "rescue", drift: "hold", filter: "where" } as const;
  const steps: Step[] = [{ do: "drop" }, { do: "fault", fault: "kill", after: 1 }, { do: "rest", ms: 100 }];
  const duringCopy: Step[] = [
    { do: "takeover", slices: 1 },
    { do: "standby", slices: 1 },
  ];
  return simulate({ ...scheduleOf(route, steps), copied: rows(3), duringCopy, budgetBytes: 1, seed: 959270088 });
});

test("merge: a delta behind a letter that was discarded changes the document that a service has made meanwhile", () =>
  simulate({
    ...scheduleOf({ policy: "merge", drift: "pass" }, [
      set("a", "clear"),
      { do: "decide", letter: 0, state: "discard" },
      SERVICE,
    ]),
    ...{ copied: [{ bad: true, more: true }], budgetBytes: 1, seed: 0 },
  }));

test("a row filter looks up no document for a change of which the drift policy leaves nothing", () => {
  const text: Step = { do: "set", key: 0, field: "c", value: 0, kind: "text" };
  const route = { source: "rescue", drift: "drop-and-report", filter: "where" } as const;
  return simulate({ ...scheduleOf(route, [text]), copied: [{ bad: true, more: true }], budgetBytes: 1, seed: 0 });
});
