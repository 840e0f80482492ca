import assert from "node:assert/strict";
import { test } from "node:test";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

test("looks at once and after each pause until there is an answer; false and undefined are none, 0 and null are", async () => {
  const clock = new FakeClock();
  const began = clock.now();
  for (const answer of [true, 0, "", null, []]) {
    const answers = [undefined, false, answer];
    const found = lookUntil(50, { clock }, async () => answers.shift() as typeof answer | false | undefined);
    await clock.pass(100);
    assert.equal(await found, answer);
  }
  assert.equal(clock.now() - began, 500);
});

test("a failure of a look ends it, and so does the signal between two looks", async () => {
  const clock = new FakeClock();
  const broken = async (): Promise<false> => {
    throw new Error("broken");
  };
  await assert.rejects(lookUntil(50, { clock }, broken), /broken/);
  const ending = new AbortController();
  let looks = 0;
  const waiting = lookUntil(50, { clock, signal: ending.signal }, async () => ++looks > 9);
  const refused = assert.rejects(waiting, /stopped/);
  await clock.pass(75);
  ending.abort(new Error("stopped"));
  await refused;
  assert.equal(looks, 2);
});

test("an answer counts where the signal has aborted before it was found", async () => {
  const options = { clock: new FakeClock(), signal: AbortSignal.abort(new Error("stopped")) };
  assert.equal(await lookUntil(50, options, async () => "there"), "there");
  await assert.rejects(
    lookUntil(50, options, async () => undefined),
    /stopped/,
  );
});
