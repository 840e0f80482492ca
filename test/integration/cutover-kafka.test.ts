import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ConnectRest } from "#source/connector/connectRest.ts";
import { moved, streaming } from "../harness/cutover.ts";
import { sharedConnect, sharedKafka } from "../harness/servers.ts";

/** Services of a run through Kafka move with nothing lost or doubled. */
const moves = async (t: TestContext, both: Awaited<ReturnType<typeof streaming>>, name: string) => {
  await both.here.db(name).collection<{ _id: string }>("users").insertOne({ _id: "first" });
  const run = await both.start();
  const services = both.services();
  services.start(10, 20);
  const there = both.there.db(name).collection<{ _id: string }>("users");
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
  } finally {
    await both.unblock();
  }
  return run;
};

test("through Kafka, `ferry capture` and workers: services move with nothing lost or doubled, and the run ends", async (t) => {
  const { bootstrap } = await sharedKafka();
  await using both = await streaming("through", bootstrap);
  const capture = await moves(t, both, "through");
  assert.equal((await capture.exited).code, 0);
});

test("through the official connector and a worker: services move with nothing lost or doubled, and the connector pauses", async (t) => {
  const { bootstrap } = await sharedKafka();
  const { url } = await sharedConnect();
  await using both = await streaming("connected", bootstrap, url);
  await moves(t, both, "connected");
  const rest = new ConnectRest({ url, clock: systemClock });
  assert.equal((await rest.status("connected"))?.connector.state, "PAUSED");
  await rest.remove("connected");
});
