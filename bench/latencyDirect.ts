import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { type Concern, measure, PER_SECOND, SECONDS } from "./latency.ts";
import { ferryRun, mongodVersion, startPair } from "./lib/pair.ts";
import { quantile, type Row, report, round } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

const CONCERNS: readonly Concern[] = ["w1", "majority"];

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
  const rows: Row[] = [];
  const ratios: Record<string, number> = {};
  for (const [i, concern] of CONCERNS.entries()) {
    const { bare, ferry } = await measure(pair, concern, (i + 1) * 1_000_000);
    for (const [reader, values] of [
      ["bare change stream", bare] as const,
      ["ferry run, visible on target", ferry] as const,
    ])
      rows.push({
        "source write": concern,
        reader,
        "p50 ms": round(quantile(values, 0.5)),
        "p99 ms": round(quantile(values, 0.99)),
      });
    ratios[`${concern}.p50Ms`] = round(quantile(ferry, 0.5));
    ratios[`${concern}.p99Ms`] = round(quantile(ferry, 0.99));
    ratios[`${concern}.p50OverBareMs`] = round(quantile(ferry, 0.5) - quantile(bare, 0.5));
    ratios[`${concern}.p99OverBareMs`] = round(quantile(ferry, 0.99) - quantile(bare, 0.99));
  }
  const load = `${PER_SECOND} inserts/s for ${SECONDS} s`;
  report({ name: "latency-direct", rows, ratios, versions: { mongod: await mongodVersion(pair), load } });
};
