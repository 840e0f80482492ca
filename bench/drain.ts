import type { AnyBulkWriteOperation, Timestamp } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { Bench } from "./lib/bench.ts";
import { ferryRun, mongodVersion, type Pair, pause } from "./lib/pair.ts";
import { peakMb } from "./lib/processes.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { DB, load, random, user } from "./lib/topics.ts";

const DOCUMENTS = 1_000_000;
const CHANGES = 200_000;
const STATE_DB = "ferry_bench_drain";
const COLL = "drain";
/** Inserted behind all changes: enough that every lane has some, so that the last one to arrive is the end. */
const MARKS = 64;

type User = { _id: number | string };
type Change = AnyBulkWriteOperation<User>;

/** Half updates, 30 % inserts, 20 % deletes; each writer owns some keys, so that they proceed in parallel. */
const writeChanges = async (pair: Pair, turn: number, documents: number, changes: number): Promise<void> => {
  const next = random(turn * 7919);
  const queues = Array.from({ length: 64 }, (): Change[] => []);
  let fresh = 10_000_000 * turn;
  for (let i = 0; i < changes; i++) {
    const dice = next();
    const key = dice < 0.3 ? fresh++ : Math.floor(next() * documents);
    const filter = { _id: key };
    const change = { age: Math.floor(next() * 90), city: `c${Math.floor(next() * 50)}`, seen: i };
    const write: Change =
      dice < 0.3
        ? { insertOne: { document: user(key) } }
        : dice < 0.8
          ? { updateOne: { filter, update: { $set: change } } }
          : { deleteOne: { filter } };
    queues[key % queues.length]?.push(write);
  }
  const collection = pair.here.db(DB).collection<User>(COLL);
  await Promise.all(
    queues.map(async (queue) => {
      for (let from = 0; from < queue.length; from += 200)
        await collection.bulkWrite(queue.slice(from, from + 200), { writeConcern: { w: 1 } });
    }),
  );
  await collection.insertMany(Array.from({ length: MARKS }, (_, i) => ({ _id: `end-${turn}-${i}` })));
};

const now = async ({ here }: Pair): Promise<Timestamp> =>
  (await here.db("admin").command({ ping: 1 }))["operationTime"] as Timestamp;

type Read = Readonly<{ perSecond: number; events: number }>;

/** Only reads, with lookups, until the last mark: what any tool must wait for. */
const bareReader = async ({ here }: Pair, from: Timestamp, turn: number): Promise<Read> => {
  const started = performance.now();
  const stream = here
    .db(DB)
    .collection<User>(COLL)
    .watch([], { fullDocument: "updateLookup", startAtOperationTime: from, batchSize: 10_000 });
  const last = `end-${turn}-${MARKS - 1}`;
  let events = 0;
  for await (const event of stream) {
    events++;
    if (event.operationType === "insert" && event.documentKey._id === last) break;
  }
  const seconds = (performance.now() - started) / 1000;
  await stream.close();
  return { perSecond: events / seconds, events };
};

const capturePhase = async ({ there }: Pair): Promise<string | undefined> =>
  (await there.db(STATE_DB).collection<CaptureRecord>("capture").findOne({}))?.phase;

/** `ferry run` from its start until every mark is on the target. */
const drain = async (pair: Pair, turn: number, events: number): Promise<{ perSecond: number; rssMb: number }> => {
  const started = performance.now();
  await using run = ferryRun(pair, COLL, STATE_DB);
  const marks = { _id: { $gte: `end-${turn}-`, $lt: `end-${turn}.` } };
  const collection = pair.there.db(DB).collection<User>(COLL);
  while ((await collection.countDocuments(marks)) < MARKS) await pause(10);
  return { perSecond: (events * 1000) / (performance.now() - started), rssMb: peakMb(run.child.pid) };
};

/**
 * `npm run bench -- drain [--rounds 3] [--scale 1]`: `ferry run` is stopped while changes hit the source, then started: events
 * per second until all are on the target, start-up included, beside a bare reader of the same change stream.
 */
export const benchDrain = async (bench: Bench): Promise<void> => {
  const [documents, changes] = [bench.sized(DOCUMENTS), bench.sized(CHANGES)];
  await using pair = await bench.pair();
  await load(pair.here, COLL, documents);
  {
    await using _copy = ferryRun(pair, COLL, STATE_DB);
    await waitFor(async () => ((await capturePhase(pair)) === "stream" ? { done: undefined } : { seen: "copying" }), {
      what: "the copy to end",
      clock: systemClock,
      timeoutMs: 120_000,
    });
  }
  const [bare, ferry]: [Read[], { perSecond: number; rssMb: number }[]] = [[], []];
  for (let turn = 1; turn <= bench.rounds; turn++) {
    const from = await now(pair);
    await writeChanges(pair, turn, documents, changes);
    const read = await bareReader(pair, from, turn);
    const drained = await drain(pair, turn, read.events);
    console.log(
      `round ${turn}  bare reader ${Math.round(read.perSecond)}/s  ferry run ${Math.round(drained.perSecond)}/s`,
    );
    bare.push(read);
    ferry.push(drained);
  }
  const perSecond = {
    bare: median(bare.map((one) => one.perSecond)),
    ferry: median(ferry.map((one) => one.perSecond)),
  };
  const rssMb = Math.max(...ferry.map((one) => one.rssMb));
  const rows: Row[] = [
    {
      contestant: "bare change stream reader, with lookups",
      "events/s": Math.round(perSecond.bare),
      "peak RSS MB": null,
    },
    {
      contestant: "ferry run, until all are on the target",
      "events/s": Math.round(perSecond.ferry),
      "peak RSS MB": rssMb,
    },
  ];
  const ratios = { "drain.vsBareReader": round(perSecond.ferry / perSecond.bare), rssMb };
  const versions = { mongod: await mongodVersion(pair), load: `${changes} changes of ${documents} documents` };
  report({ name: "drain", rows, ratios, versions }, bench.full);
};
