import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
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

test("one namespace of a connector that goes on: it is carried back meanwhile, nothing goes round, and services return", async () => {
  const { bootstrap } = await sharedKafka();
  const { url } = await sharedConnect();
  await using both = await streaming("partly", bootstrap, url);
  await both.here.db("partly").collection<{ _id: string }>("users").insertOne({ _id: "first" });
  const worker = await both.start();
  const services = both.services();
  services.start(5, 20);
  const there = both.there.db("partly").collection<{ _id: string }>("users");
  await waitFor(async () => ((await there.countDocuments()) === 6 ? { done: 1 } : { seen: worker.logTail(5) }), {
    ...{ what: "a document of every client on the target", clock: systemClock, timeoutMs: 60_000 },
  });
  const accept = ["--fence", "validator", "--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s"];
  const named = ["--namespace", "partly.users", ...accept];
  const cut = await both.command("cutover", [...named, "--on-release", services.release]);
  assert.equal(cut.status, 0, cut.out + cut.err + worker.logTail(20));
  await moved(services);
  const rest = new ConnectRest({ url, clock: systemClock });
  assert.equal((await rest.status("partly"))?.connector.state, "RUNNING", "it serves the others");
  const reverse = await both.reverse();
  // The connector sees what is carried back, and the worker leaves it out: its lanes say so.
  const lanes = both.there.db("ferry_partly").collection("lanes");
  await waitFor(
    async () => {
      const lane = await lanes.findOne({ "filteredBy.switched-since": { $gt: 20 } });
      return lane === null ? { seen: worker.logTail(5) + reverse.logTail(5) } : { done: undefined };
    },
    { what: "changes that were carried back in the worker's books", clock: systemClock, timeoutMs: 60_000 },
  );
  const back = await both.command("rollback", [...accept, "--on-release", services.releaseBack]);
  assert.equal(back.status, 0, back.out + back.err + reverse.logTail(20));
  await moved(services, "source");
  assert.deepEqual(await services.settle("source"), { lost: 0, doubled: 0 });
  await rest.remove("partly");
});
