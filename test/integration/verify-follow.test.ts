import assert from "node:assert/strict";
import { test } from "node:test";
import { Double, Int32, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { clusterTimeOf } from "#proof/verify/reads.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { type Verified, verifiedUpTo } from "#proof/verify/verifiedUpTo.ts";
import { startDirect } from "../harness/directRun.ts";
import { sharedMongo } from "../harness/servers.ts";
import { FerryProcess } from "../harness/worker.ts";

const STATE = "ferry_follow";
const ROUTES = ["follow.a", "follow.b"];
const KEYS = 4000;

/** Writes to the source at about this rate until it is stopped: changes, deletes and inserts. */
const startWrites = (here: MongoClient, perSecond: number) => {
  const stop = new AbortController();
  let writes = 0;
  const done = (async () => {
    const collections = ["a", "b"].map((name) => here.db("follow").collection<{ _id: number }>(name));
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const began = Date.now();
      const ids = Array.from({ length: perSecond / 20 }, () => 100 + Math.floor(Math.random() * (KEYS - 100)));
      await collections[turn % 2]?.bulkWrite(
        ids.map((_id, i) =>
          i % 7 === 0
            ? { deleteOne: { filter: { _id } } }
            : { updateOne: { filter: { _id }, update: { $set: { v: turn, x: i } }, upsert: true } },
        ),
        { ordered: false },
      );
      writes += ids.length;
      await systemClock.sleep(Math.max(0, 50 - (Date.now() - began)));
    }
  })();
  return {
    get writes(): number {
      return writes;
    },
    stop: async (): Promise<void> => {
      stop.abort();
      await done;
    },
  };
};

test("ferry verify --follow stays current under 2,000 writes/s without a false alarm, finds faults of either side, and goes on after a kill", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const people = Array.from({ length: KEYS }, (_, i) => ({ _id: i as never, n: new Int32(i), z: new Double(-0) }));
  for (const name of ["a", "b"]) await here.db("follow").collection(name).insertMany(people);
  const urls = { source: source.uri, target: target.uri };
  await using run = await startDirect({ ...urls, include: ["follow.*"], args: ["--state-db", STATE] });
  await run.says("copy finished", 60_000);
  const args = ["verify", "--follow", "--source", urls.source, "--target", urls.target, "--state-db", STATE];
  const follow = (): FerryProcess => new FerryProcess("verify", args, {}, "verified up to");
  const until = (what: string, holds: (verified: Verified) => boolean): Promise<Verified> =>
    waitFor(
      async () => {
        const verified = await verifiedUpTo(new VerificationStore(new StateDb(there, STATE)), ROUTES);
        return holds(verified) ? { done: verified } : { seen: { ...verified, upTo: String(verified.upTo) } };
      },
      { what, clock: systemClock, timeoutMs: 40_000, everyMs: 100 },
    );
  const current = async (): Promise<Verified> => {
    const now = await clusterTimeOf(here);
    return until("verification to be current", ({ upTo }) => upTo >= now);
  };

  const load = startWrites(here, 2000);
  {
    await using first = follow();
    await first.start();
    for (let n = 0; n < 3; n++) assert.equal((await current()).wrong, 0, first.logTail(10));
    await there
      .db("follow")
      .collection("a")
      .updateOne({ _id: 1 as never }, { $set: { z: new Double(0) } });
    await there
      .db("follow")
      .collection("b")
      .deleteOne({ _id: 2 as never });
    await until("both faults to be found", ({ wrong }) => wrong === 2);
    first.kill("SIGKILL");
    await first.exited;
  }
  await there
    .db("follow")
    .collection("b")
    .insertOne({ _id: "extra" as never }); // nothing follows now
  const before = await verifiedUpTo(new VerificationStore(new StateDb(there, STATE)), ROUTES);
  {
    await using second = follow();
    await second.start();
    await until("the third fault to be found behind a restart", ({ wrong }) => wrong === 3);
    const { upTo, unverified } = await current();
    assert.ok(upTo > before.upTo);
    assert.deepEqual(unverified, []);
    assert.doesNotMatch(second.log(), /documents compared/, "what was proven before the restart is not read again");
    await there
      .db("follow")
      .collection("a")
      .updateOne({ _id: 1 as never }, { $set: { z: new Double(-0) } });
    await there
      .db("follow")
      .collection("b")
      .insertOne(people[2] as never);
    await there
      .db("follow")
      .collection("b")
      .deleteOne({ _id: "extra" as never });
    await until("what was put right to be right again", ({ wrong }) => wrong === 0);
    await here.db("follow").collection("c").insertOne({ n: 1 });
    await waitFor(
      async () => {
        const { unverified } = await verifiedUpTo(new VerificationStore(new StateDb(there, STATE)), ["follow.c"]);
        return unverified.length === 0 ? { done: undefined } : { seen: unverified };
      },
      { what: "a new collection to be verified", clock: systemClock, timeoutMs: 40_000 },
    );
  }
  await load.stop();
  assert.ok(load.writes > 0);
});
