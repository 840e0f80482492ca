import type { Db, Document } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { compareLive } from "./compare.ts";

const START = Date.UTC(2026, 0, 1);

/** One minute apart, of three sensors: several to a bucket, since there is a minute's granularity at least. */
const measurements = (from: number, count: number): Document[] =>
  Array.from({ length: count }, (_, n) => ({
    t: new Date(START + (from + n) * 60_000),
    m: { sensor: (from + n) % 3 },
    temp: from + n + 0.5,
  }));

const SERIES = { timeseries: { timeField: "t", metaField: "m", granularity: "minutes" } } as const;

/** Time series of one phase, as they are before anything is carried. */
export const beforeSeries = async (db: Db, phase: string): Promise<void> => {
  for (const name of ["days", "gone", "anew", "ceases"]) {
    await db.createCollection(`${phase}_${name}`, { ...SERIES, expireAfterSeconds: 1_000_000_000 });
    await db.collection(`${phase}_${name}`).insertMany(measurements(0, 200));
  }
  await db.collection(`${phase}_becomes`).insertMany(measurements(0, 20));
};

/** Everything that may happen to a time series: measurements that come, go and are moved, and changes of itself. */
export const happenToSeries = async (db: Db, phase: string): Promise<void> => {
  const coll = (name: string) => db.collection(`${phase}_${name}`);
  await coll("days").insertMany(measurements(200, 100)); // into buckets that are there
  await coll("days").deleteMany({ "m.sensor": 1 });
  await coll("days").updateMany({ "m.sensor": 2 }, { $set: { "m.sensor": 7 } });
  await coll("days").createIndex({ "m.sensor": 1, t: -1 }, { name: "sensor" });
  await db.command({
    collMod: `${phase}_days`,
    timeseries: { granularity: "hours" },
    expireAfterSeconds: 1_200_000_000,
  });
  await coll("days").insertMany(measurements(10_000, 100));

  await coll("gone").drop();
  await coll("anew").drop();
  await db.createCollection(`${phase}_anew`, { timeseries: { timeField: "t" } });
  await coll("anew").insertMany(measurements(500, 30));
  await db.createCollection(`${phase}_young`, SERIES);
  await coll("young").insertMany(measurements(0, 40));

  // One name, first a collection and then a time series, and the other way round.
  await coll("becomes").drop();
  await db.createCollection(`${phase}_becomes`, SERIES);
  await coll("becomes").insertMany(measurements(0, 50));
  await coll("ceases").drop();
  await coll("ceases").insertMany(measurements(0, 15));
};

const CARRIED = ["days", "anew", "young", "becomes"];

/** Waits until the buckets are those of the source, byte for byte, and what was dropped has gone. */
export const sameSeries = async (source: Db, target: Db, phase: string): Promise<void> => {
  const look = async () => {
    for (const coll of [...CARRIED.map((name) => `system.buckets.${phase}_${name}`), `${phase}_ceases`]) {
      const found = await compareLive(source.collection(coll), target.collection(coll));
      if (found.wrong > 0 || found.source === 0) return { seen: { coll, ...found, different: [] } };
    }
    const names = async (db: Db): Promise<string> =>
      (await db.listCollections({}, { nameOnly: true }).toArray())
        .map(({ name, type }) => `${name} ${type}`)
        .filter((one) => one.includes(phase))
        .sort()
        .join();
    const [here, there] = [await names(source), await names(target)];
    return here === there ? { done: undefined } : { seen: { here, there } };
  };
  await waitFor(look, { what: `time series of ${phase}`, clock: systemClock, timeoutMs: 60_000, everyMs: 300 });
  for (const name of CARRIED) {
    const read = (db: Db): Promise<Document[]> => db.collection(`${phase}_${name}`).find().sort({ _id: 1 }).toArray();
    const [here, there] = [await read(source), await read(target)];
    if (JSON.stringify(here) !== JSON.stringify(there)) throw new Error(`${phase}_${name} reads differently`);
  }
};
