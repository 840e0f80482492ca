import assert from "node:assert/strict";
import { test } from "node:test";
import { Lane, type LaneDeps } from "#apply/pipeline/lane.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { BudgetShare, ByteBudget } from "#base/flow/byteBudget.ts";
import { systemClock } from "#base/flow/clock.ts";

const entry: Entry = {
  record: { key: undefined, value: Buffer.from("{}"), offset: 0, timestampMs: 0 },
  event: undefined,
  dead: undefined,
} as unknown as Entry;

/** A lane whose one write says that it has begun, and waits for its end. */
const laneThatWrites = (begun: () => void, end: Promise<void>): Lane => {
  const write = (): Promise<void> => {
    begun();
    return end;
  };
  return new Lane({
    writer: { state: { offset: 0 }, write } as unknown as LaneDeps["writer"],
    budget: new BudgetShare(new ByteBudget(1000)),
    clock: systemClock,
    batchBytes: 1000,
    batchCount: 10,
    throttle: undefined,
    onApplied: () => undefined,
  });
};

test("what waits for its turn in a lane that fails is answered, and not run", async () => {
  const [begun, write] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const lane = laneThatWrites(begun.resolve, write.promise);
  const ended = lane.run(new AbortController().signal);
  lane.push([entry], 1);
  await begun.promise;
  let ran = false;
  const between = lane.between(async () => {
    ran = true;
  });
  const still = lane.standStill(new AbortController().signal);
  write.reject(new FerryError("FERRY_CAPTURE_OTHER", "the source is another one"));
  await assert.rejects(ended, { code: "FERRY_CAPTURE_OTHER" });
  await between;
  (await still)();
  await lane.between(async () => {
    ran = true;
  });
  assert.equal(ran, false);
});
