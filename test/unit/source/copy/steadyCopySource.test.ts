import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import type { Logger } from "#base/observe/log.ts";
import { openCopySource } from "#source/copy/steadyCopySource.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

test("a member that has the copy's request and does not answer is named, and so is its return", async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const note: Logger["info"] = (_, sentence) => void said.push(sentence);
  const client = new MongoClient("mongodb://127.0.0.1:9/"); // never connected
  await using source = openCopySource(client, undefined, {
    settings: { source: "mongodb://127.0.0.1:9/" },
    readPreference: "secondary",
    maxSourceLoad: 0,
    runId: "test",
    clock,
    logger: { debug: note, info: note, warn: note, error: note },
  });
  const reply = Promise.withResolvers<number>();
  const answer = source.answer(reply.promise);
  await clock.pass(9000);
  assert.deepEqual(said, [], "a long reply is expected");
  await clock.pass(3000);
  assert.deepEqual(said, ["waiting for the source's member to copy from (secondary)"]);
  reply.resolve(7);
  assert.equal(await answer, 7);
  assert.deepEqual(said.slice(1), ["the source's member to copy from (secondary) is back after 12 s"]);
  const [lost] = await Promise.allSettled([source.answer(Promise.reject(new Error("gone")))]);
  assert.equal(lost.status, "rejected");
});

test("other limits hold at once: who rests looks again, and the same limits change nothing", async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const note: Logger["info"] = (_, sentence) => void said.push(sentence);
  const client = new MongoClient("mongodb://127.0.0.1:9/"); // never connected
  const ns = { db: "a", coll: "b" };
  await using source = openCopySource(client, ns, {
    settings: { source: "mongodb://127.0.0.1:9/" },
    ...{ readPreference: "primary", maxSourceLoad: 0, runId: "test", clock },
    logger: { debug: note, info: note, warn: note, error: note },
  });
  const paceNow = () => source.pace;
  assert.equal(paceNow(), undefined);
  source.limit({ documentsPerSecond: 10 });
  const pace = paceNow();
  assert.equal(pace?.restAfter(1, 10), 1000);
  source.limit({ documentsPerSecond: 10 });
  assert.deepEqual([paceNow() === pace, pace?.changed.aborted], [true, false]);
  source.limit({});
  assert.deepEqual([paceNow(), pace?.changed.aborted], [undefined, true]);
  assert.match(said.join("\n"), /at most 10 documents a second\n.*no limit of its rate/);
});
