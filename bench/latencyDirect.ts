import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { LOAD_TEXT, measureRounds } from "./latency.ts";
import type { Bench } from "./lib/bench.ts";
import { ferryRun, mongodVersion } from "./lib/pair.ts";
import { report } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

const COLL = "latency_direct";

/** `npm run bench -- latency-direct [--rounds 3] [--scale 1]`: 50 inserts/s, source write → visible on the target through `ferry run`, beside a bare change stream reader. */
export const benchLatencyDirect = async (bench: Bench): Promise<void> => {
  await using pair = await bench.pair();
  const { here, there } = pair;
  await here.db(DB).createCollection(COLL);
  await using _run = ferryRun(pair, COLL, "ferry_bench_latency_direct");
  await waitFor(
    async () => {
      await here
        .db(DB)
        .collection<{ _id: number }>(COLL)
        .updateOne({ _id: -1 }, { $inc: { n: 1 } }, { upsert: true });
      return (await there.db(DB).collection<{ _id: number }>(COLL).findOne({ _id: -1 })) === null
        ? { seen: "nothing on the target" }
        : { done: undefined };
    },
    { what: "the path is open", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );
  const { rows, ratios } = await measureRounds(bench, pair, COLL, "ferry run, visible on target");
  const versions = { mongod: await mongodVersion(pair), load: LOAD_TEXT };
  report({ name: "latency-direct", rows, ratios, versions }, bench.full);
};
