import { systemClock } from "#base/flow/clock.ts";
import type { Bench } from "./lib/bench.ts";
import { ferryRun, mongodVersion, pause } from "./lib/pair.ts";
import { median, report } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

const COLL = "resumed";
/** Of about 500 bytes. */
const DOCUMENTS = 400_000;
const LIMIT_MS = 300_000;

/**
 * `npm run bench -- resume [--rounds 3] [--scale 1] [--cache 0.3]`: a copy that is killed half-way and started again, from the
 * second start to the last document. `--cache`: of the target, GB; what is short of it shows what replacing costs.
 */
export const benchResume = async (bench: Bench): Promise<void> => {
  const count = bench.sized(DOCUMENTS);
  const cacheGb = Number(bench.flags["cache"] ?? 0.3);
  await using pair = await bench.pair({ cacheGb: 1 }, { cacheGb });
  const source = pair.here.db(DB).collection<{ _id: number }>(COLL);
  for (let from = 0; from < count; from += 10_000)
    await source.insertMany(
      Array.from({ length: Math.min(10_000, count - from) }, (_, i) => ({ _id: from + i, text: "x".repeat(450) })),
    );
  const target = pair.there.db(DB).collection(COLL);
  const took: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const stateDb = `ferry_bench_resume_${round}`;
    await target.drop();
    const until = async (wanted: number): Promise<number> => {
      const began = systemClock.now();
      for (let done = 0; done < wanted; ) {
        done = await target.estimatedDocumentCount();
        if (systemClock.now() - began > LIMIT_MS) throw new Error(`${done} of ${wanted} documents`);
        await pause(10);
      }
      return systemClock.now() - began;
    };
    {
      await using run = ferryRun(pair, COLL, stateDb, ["--lease-ms", "1500"]);
      await until(count / 2);
      run.child.kill("SIGKILL");
    }
    const there = await target.estimatedDocumentCount();
    await using _again = ferryRun(pair, COLL, stateDb, ["--lease-ms", "1500"]);
    const ms = await until(count);
    took.push(ms);
    console.log(`round ${round}: ${there} were there, the rest came in ${ms} ms`);
  }
  const result = {
    name: "resume",
    rows: took.map((ms, at) => ({ round: at, "start again → last document ms": ms })),
    ratios: { "median ms": median(took) },
    versions: { mongod: await mongodVersion(pair), documents: String(count), cacheGb: String(cacheGb) },
  };
  report(result, bench.full);
};
