import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedReading } from "#process/control/sharedReading.ts";

test("all who ask within a second share one reading; one that failed is read again", async () => {
  let [now, reads] = [0, 0];
  let fails = false;
  const read = async (): Promise<number> => {
    reads++;
    if (fails) throw new Error("away");
    return reads;
  };
  const shared = new SharedReading(read, { clock: { now: () => now }, freshMs: 1000 });
  assert.deepEqual(await Promise.all([shared.current(), shared.current(), shared.current()]), [1, 1, 1]);
  now = 999;
  assert.equal(await shared.current(), 1);
  now = 1000;
  assert.equal(await shared.current(), 2);
  now = 2000;
  fails = true;
  await assert.rejects(shared.current(), /away/);
  fails = false;
  assert.equal(await shared.current(), 4);
});

test("a reading is as old as its end: one that takes long is shared until it has ended, and fresh from then on", async () => {
  let now = 0;
  const { promise, resolve } = Promise.withResolvers<string>();
  const shared = new SharedReading(() => promise, { clock: { now: () => now }, freshMs: 1000 });
  const first = shared.current();
  now = 5000;
  const second = shared.current();
  resolve("read");
  assert.deepEqual(await Promise.all([first, second]), ["read", "read"]);
  now = 5999;
  assert.equal(shared.current(), first);
});
