import assert from "node:assert/strict";
import { test } from "node:test";
import { Long, MongoClient } from "mongodb";
import type { StoredCapture } from "#capture/captureStore.ts";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { directConverged, startCapture, startDirect } from "../harness/directRun.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import type { FerryProcess } from "../harness/worker.ts";

/** Bytes of a server come back to a server as they were: what goes through objects on the way shows here. */

const sides = async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  return { source, target, here, there, [Symbol.asyncDispose]: () => stack.disposeAsync() };
};

type Sides = Awaited<ReturnType<typeof sides>>;

/** Milliseconds, as services number their documents: Int64, of which a position keeps the type apart. */
const FIRST = 1_795_965_874_000;

/** Inserts without a pause until it is stopped. Gives how many. */
const inserting = (here: MongoClient, db: string) => {
  let stopped = false;
  const work = (async () => {
    let n = 0;
    for (; !stopped; n++)
      await here
        .db(db)
        .collection<{ _id: Long }>("rows")
        .insertOne({ _id: Long.fromNumber(FIRST + n) });
    return n;
  })();
  return async (): Promise<number> => {
    stopped = true;
    return work;
  };
};

/** Waits until the saved position is that of an Int64, then kills. */
const killedBehindInt64 = async (both: Sides, run: FerryProcess, stateDb: string): Promise<void> => {
  const captures = both.there.db(stateDb).collection<StoredCapture>("capture");
  await waitFor(
    async () => {
      const record = await captures.findOne();
      return record?.phase === "stream" && "_typeBits" in record.token ? { done: true } : { seen: record?.token };
    },
    { what: "a saved position with type bits", clock: systemClock, timeoutMs: 30_000, everyMs: 20 },
  );
  run.kill("SIGKILL");
  await run.exited;
};

for (const topology of ["run", "capture"] as const)
  test(`ferry ${topology}: killed behind an event of an Int64 _id, it goes on from there`, async () => {
    await using both = await sides();
    const db = `int64_${topology}`;
    const kafka = topology === "run" ? "" : (await sharedKafka()).bootstrap;
    const options = {
      source: both.source.uri,
      target: both.target.uri,
      include: [`${db}.*`],
      args: ["--state-db", `ferry_${db}`],
      kafka,
    };
    const start = (): Promise<FerryProcess> => (topology === "run" ? startDirect(options) : startCapture(options));
    await both.here.db(db).collection<{ _id: number }>("rows").insertOne({ _id: 0 });
    const stop = inserting(both.here, db);
    {
      await using first = await start();
      await killedBehindInt64(both, first, `ferry_${db}`);
    }
    await stop();
    const captures = both.there.db(`ferry_${db}`).collection<StoredCapture>("capture");
    const before = await captures.findOne();
    await using second = await start();
    if (topology === "run") {
      await directConverged(both.here, both.there, `${db}.rows`);
      return;
    }
    await waitFor(
      async () => {
        assert.doesNotMatch(second.log(), /FERRY_SOURCE_HISTORY_LOST/);
        const token = (await captures.findOne())?.token;
        return token !== undefined && token._data > (before?.token._data ?? "") ? { done: true } : { seen: token };
      },
      { what: "the capture to go on", clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
    );
  });
