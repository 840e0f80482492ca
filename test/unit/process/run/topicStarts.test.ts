import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import fc from "fast-check";
import { topicStarts } from "#process/run/topicStarts.ts";

const OFFSET = fc.nat(1000);
const RUN = fc.record({
  phase: fc.constantFrom("copy" as const, "stream" as const),
  saved: fc.option(OFFSET, { nil: undefined }),
  lanes: fc.array(OFFSET, { maxLength: 6 }),
  others: fc.array(OFFSET, { maxLength: 3 }),
});

test("no record is given an offset that a lane has passed, and what a lane may ask for is in the log, or captured again", () => {
  fc.assert(
    fc.property(RUN, ({ phase, saved, lanes, others }) => {
      const topics = saved === undefined ? [] : [{ name: "s.a", next: Long.fromNumber(saved) }];
      const positions = [
        ...lanes.map((offset) => ({ topic: "s.a", offset })),
        ...others.map((offset) => ({ topic: "s.b", offset })),
      ];
      const { first, next, high } = topicStarts({ phase, topics }, positions)("s.a");
      assert.ok(first <= next && next <= high);
      assert.equal(high, Math.max(saved ?? 0, 0, ...lanes), "the highest that was ever given out");
      if (phase === "stream") {
        // The stream is read again from the saved position: the same records get the same offsets, and lanes skip what they have.
        assert.deepEqual([first, next], [saved ?? 0, saved ?? 0]);
      } else {
        // A copy brings other records under the same offsets: none of them may be taken for one that a lane has.
        assert.equal(first, lanes.length === 0 ? 0 : Math.min(...lanes));
        assert.ok(lanes.every((offset) => offset <= next));
      }
    }),
  );
});

test("an unknown topic begins at its beginning", () => {
  const startOf = topicStarts({ phase: "stream", topics: [] }, []);
  assert.deepEqual(startOf("s.new"), { first: 0, next: 0, high: 0 });
});
