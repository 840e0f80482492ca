import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { moved, streaming } from "../harness/cutover.ts";
import { sharedKafka } from "../harness/servers.ts";

test("through Kafka, `ferry capture` and workers: services move with nothing lost or doubled, and the run ends", async (t) => {
  const { bootstrap } = await sharedKafka();
  await using both = await streaming("through", bootstrap);
  await both.here.db("through").collection<{ _id: string }>("users").insertOne({ _id: "first" });
  const run = await both.start();
  const services = both.services();
  services.start(10, 20);
  const there = both.there.db("through").collection<{ _id: string }>("users");
  await waitFor(async () => ((await there.countDocuments()) === 11 ? { done: 1 } : { seen: run.logTail(5) }), {
    ...{ what: "a document of every client on the target", clock: systemClock, timeoutMs: 60_000 },
  });
  const { status, out, err } = await both.command("cutover", [
    ...["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s", "--on-release", services.release],
  ]);
  try {
    assert.equal(status, 0, out + err + run.logTail(20));
    await moved(services);
    t.diagnostic(`${/the pause was .*/.exec(out)?.[0]}; clients: ${services.pauses.map(Math.round).join(", ")}`);
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
    assert.equal((await run.exited).code, 0);
  } finally {
    await both.unblock();
  }
});
