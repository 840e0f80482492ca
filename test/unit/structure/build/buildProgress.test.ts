import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { progressText, withProgress } from "#structure/build/buildProgress.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

/** A build of 3.5 s on a server that answers `$currentOp` like this; what was told of it. */
const told = async (answer: () => Promise<Document[]>): Promise<string[]> => {
  const clock = new FakeClock();
  const target = { db: () => ({ aggregate: () => ({ toArray: answer }) }) } as unknown as MongoClient;
  const said: string[] = [];
  const work = withProgress(
    { target, clock },
    { db: "a", coll: "b" },
    (progress) => said.push(progressText(progress)),
    () => clock.sleep(3500).then(() => "built"),
  );
  await clock.pass(10_000);
  assert.equal(await work, "built");
  return said;
};

test("while an index is built its progress is told each second, with the server's phase once, and not after the end", async () => {
  let done = 0;
  const msg = "Index Build: scanning collection Index Build: scanning collection: 120/1000 12%";
  const said = await told(async () => {
    done += 250;
    return [{ msg, progress: { done, total: 1000 } }];
  });
  assert.deepEqual(said, [
    "Index Build: scanning collection, 250 of 1000 (25 %)",
    "Index Build: scanning collection, 500 of 1000 (50 %)",
    "Index Build: scanning collection, 750 of 1000 (75 %)",
  ]);
});

test("without the privilege to look, and where nothing is built, the work goes on and nothing is told", async () => {
  assert.deepEqual(await told(() => Promise.reject(new Error("not authorized"))), []);
  assert.deepEqual(await told(async () => []), []);
});
