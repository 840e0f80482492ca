import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import { copyOf } from "#process/report/copyProgress.ts";

const range = (topic: string, index: number, documents: number, more: { done?: boolean; estimate?: number } = {}) => ({
  ...{ topic, index, documents: Long.fromNumber(documents), done: false },
  ...more,
});

test("collections in order, with the sum of their ranges and how far each of these is", () => {
  const found = copyOf([
    range("shop.users", 1, 50, { estimate: 100 }),
    range("shop.users", 0, 120, { estimate: 100, done: true }),
    range("shop.orders", 0, 7),
  ]);
  assert.deepEqual(found, [
    { topic: "shop.orders", documents: 7, estimate: null, ranges: 1, rangesDone: 0, shares: [0] },
    { topic: "shop.users", documents: 170, estimate: 200, ranges: 2, rangesDone: 1, shares: [1, 0.5] },
  ]);
});

test("a range that holds more than was estimated is not done before it is", () => {
  assert.deepEqual(copyOf([range("a.b", 0, 500, { estimate: 100 })])[0]?.shares, [0.99]);
});

test("of very many ranges some stand together", () => {
  const ranges = Array.from({ length: 1000 }, (_, n) => range("a.b", n, 1, { done: n < 500 }));
  const [found] = copyOf(ranges);
  assert.deepEqual(
    [found?.ranges, found?.rangesDone, found?.shares.length, found?.shares[0], found?.shares.at(-1)],
    [1000, 500, 200, 1, 0],
  );
});
