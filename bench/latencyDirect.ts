import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { measureRounds, PER_SECOND, SECONDS } from "./latency.ts";
import { ferryRun, mongodVersion, startPair } from "./lib/pair.ts";
import { report } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

/** `npm run bench -- latency-direct`: 50 inserts/s, source write → visible on the target through `ferry run`, beside a bare change stream reader. */
export const benchLatencyDirect = async (): Promise<void> => {
  await using pair = await startPair();
  const { here, there } = pair;
  await here.db(DB).createCollection("latency");
  await using _run = ferryRun(pair, "latency", "ferry_bench");
  await waitFor(
    async () => {
      await here
        .db(DB)
        .collection<{ _id: number }>("latency")
        .updateOne({ _id: -1 }, { $inc: { n: 1 } }, { upsert: true });
      return (await there.db(DB).collection<{ _id: number }>("latency").findOne({ _id: -1 })) === null
        ? { seen: "nothing on the target" }
        : { done: undefined };
    },
    { what: "the path is open", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );
  const { rows, ratios } = await measureRounds(pair, "ferry run, visible on target");
  const load = `${PER_SECOND} inserts/s for ${SECONDS} s`;
  report({ name: "latency-direct", rows, ratios, versions: { mongod: await mongodVersion(pair), load } });
};
