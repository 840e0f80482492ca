import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Collection } from "#io/mongo/connect.ts";
import { between, insertPeople, type Person, person, seeded } from "#tools/workload/people.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

test("a person is the same for the same seed and _id, and the later schema adds a field to some and changes nothing else", () => {
  let withField = 0;
  fc.assert(
    fc.property(fc.nat(), fc.nat(1_000_000), (seed, id) => {
      const plain = person(seed, id, false);
      assert.deepEqual(person(seed, id, false), plain);
      const { sex, ...rest } = person(seed, id, true);
      assert.deepEqual(rest, plain);
      assert.match(plain.email, /^[a-z]+\.[a-z]+\d+@example\.(com|org|net)$/);
      if (sex !== undefined) withField += 1;
    }),
    { numRuns: 400, seed: 1 },
  );
  assert.ok(withField > 100 && withField < 300, `${withField} of 400`);
});

test("people of one seed are not all alike", () => {
  const people = Array.from({ length: 400 }, (_, id) => person(7, id, false));
  assert.ok(new Set(people.map(({ firstname, lastname }) => `${firstname} ${lastname}`)).size > 200);
});

test("numbers of a seed repeat, and stay within their bounds", () => {
  const numbers = (seed: number): number[] => {
    const random = seeded(seed);
    return Array.from({ length: 100 }, () => between(random, 3, 5));
  };
  assert.deepEqual(numbers(7), numbers(7));
  assert.notDeepEqual(numbers(7), numbers(8));
  assert.deepEqual([...new Set(numbers(7))].sort(), [3, 4, 5]);
});

test("people are inserted behind those that are there, at the rate, until a signal", async () => {
  const clock = new FakeClock();
  const inserted: Person[] = [];
  const users = {
    find: () => ({ toArray: async () => [{ _id: 41 }] }),
    insertMany: async (batch: Person[]) => inserted.push(...batch),
  } as unknown as Collection;
  const stop = new AbortController();
  const options = { users, seed: 1, clock, signal: stop.signal, ratePerSecond: 100 };
  const done = insertPeople({ ...options, count: 1000 });
  await clock.pass(2000);
  assert.ok(Math.abs(inserted.length - 200) <= 5, `${inserted.length} after 2 s`);
  stop.abort();
  assert.equal(await done, inserted.length);
  assert.deepEqual([inserted[0]?._id, inserted.at(-1)?._id], [42, 41 + inserted.length]);
});
