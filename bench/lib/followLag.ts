import type { MongoClient } from "mongodb";
import { StateDb } from "#io/state/stateDb.ts";
import { clusterTimeOf } from "#proof/verify/reads.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { verifiedUpTo } from "#proof/verify/verifiedUpTo.ts";
import { secondsOf } from "#source/stream/resumeToken.ts";
import { MAIN } from "./ferryCommand.ts";
import { drop, ferryRun, type Pair, pause, running } from "./pair.ts";
import { peakMb } from "./processes.ts";
import { median, quantile } from "./report.ts";
import { DB, load, random } from "./topics.ts";

const COLL = "followed";
const STATE_DB = "ferry_bench_follow";
const DOCUMENTS = 200_000;
const BULK = 500;
/** Long enough for a lag that grows to show. */
const SECONDS = 20;
const LIMIT_MS = 120_000;

/** How old is what is verified, by the source's time, to the second; with the load that it was measured under. */
export type FollowLag = Readonly<{ writesPerSecond: number; p50: number; p95: number; wrong: number; rssMb: number }>;

const ageOf = async ({ here, there }: Pair): Promise<number> => {
  const now = await clusterTimeOf(here);
  const { upTo } = await verifiedUpTo(new VerificationStore(new StateDb(there, STATE_DB)), [`${DB}.${COLL}`]);
  return upTo === 0n ? Number.POSITIVE_INFINITY : secondsOf(now) - secondsOf(upTo);
};

const untilCurrent = async (pair: Pair, what: string): Promise<void> => {
  for (const deadline = Date.now() + LIMIT_MS; (await ageOf(pair)) > 3; await pause(200))
    if (Date.now() > deadline) throw new Error(`${what} is not current after ${LIMIT_MS} ms`);
};

/** Changes random documents at a rate, no faster; a server that is slower sets its own. */
const write = async (here: MongoClient, documents: number, perSecond: number, ms: number): Promise<number> => {
  const collection = here.db(DB).collection<{ _id: number }>(COLL);
  const next = random(7);
  const began = Date.now();
  let writes = 0;
  const writer = async (): Promise<void> => {
    while (Date.now() - began < ms) {
      const due = ((Date.now() - began) * perSecond) / 1000;
      if (writes > due) await pause(5);
      else {
        writes += BULK;
        const operations = Array.from({ length: BULK }, () => ({
          updateOne: {
            filter: { _id: Math.floor(next() * documents) },
            update: { $set: { age: Math.floor(next() * 1e6) } },
          },
        }));
        await collection.bulkWrite(operations, { ordered: false, writeConcern: { w: 1 } });
      }
    }
  };
  await Promise.all([writer(), writer()]);
  return (writes * 1000) / (Date.now() - began);
};

/** `ferry run` and `ferry verify --follow` of one collection that is written to. */
export const measureFollow = async (
  pair: Pair,
  sized: (full: number) => number,
  perSecond: number,
): Promise<FollowLag> => {
  const documents = sized(DOCUMENTS);
  await pair.here
    .db(DB)
    .dropCollection(COLL)
    .catch(() => undefined); // not there yet
  await drop(pair, COLL);
  await pair.there.db(STATE_DB).dropDatabase();
  await load(pair.here, COLL, documents);
  await using _run = ferryRun(pair, COLL, STATE_DB);
  const captures = pair.there.db(STATE_DB).collection("capture");
  while ((await captures.findOne({ phase: "stream" })) === null) await pause(50);
  const args = ["verify", "--follow", "--source", pair.source.uri, "--target", pair.target.uri, "--state-db", STATE_DB];
  await using verify = running(process.execPath, [MAIN, ...args]);
  await untilCurrent(pair, "verification");
  const ages: number[] = [];
  const writing = write(pair.here, documents, perSecond, sized(SECONDS * 1000));
  let over = false;
  void writing.finally(() => {
    over = true;
  });
  while (!over) {
    await pause(500);
    ages.push(await ageOf(pair));
  }
  const writesPerSecond = await writing;
  await untilCurrent(pair, "verification after the load");
  const { wrong } = await verifiedUpTo(new VerificationStore(new StateDb(pair.there, STATE_DB)), [`${DB}.${COLL}`]);
  return { writesPerSecond, p50: median(ages), p95: quantile(ages, 0.95), wrong, rssMb: peakMb(verify.child.pid) };
};
