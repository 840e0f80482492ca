import type { MongoClient } from "mongodb";
import { pause } from "./pair.ts";
import { DB } from "./topics.ts";

const LOOK_MS = 5;

/** How many documents a collection is to have in the end, and how many indexes beside that of `_id`. */
export type Expected = Readonly<{ coll: string; count: number; indexes: number }>;

/** Documents a second from the first one seen to the last, and when that was (`performance.now()`). */
export type CopyTimes = Readonly<{ perSecond: number; lastAt: number }>;

const builtIndexes = async (client: MongoClient, coll: string): Promise<number> => {
  const reply = await client.db(DB).command({ listIndexes: coll, includeBuildUUIDs: true });
  const found = (reply["cursor"] as { firstBatch: object[] }).firstBatch;
  return found.filter((index) => !("buildUUID" in index)).length - 1;
};

/** Waits for all of them. Only one collection is asked at a time: a target that is asked all the time is slower. */
export const copyTimes = async (
  client: MongoClient,
  expected: readonly Expected[],
  limitMs: number,
): Promise<CopyTimes> => {
  const deadline = Date.now() + limitMs;
  const counts = new Map<string, number>();
  let first: { at: number; done: number } | undefined;
  const look = async ({ coll, count, indexes }: Expected): Promise<void> => {
    for (;;) {
      const done = await client.db(DB).collection(coll).estimatedDocumentCount();
      counts.set(coll, done);
      if (first === undefined && done > 0) first = { at: performance.now(), done };
      if (done >= count && (indexes === 0 || (await builtIndexes(client, coll)) >= indexes)) return;
      if (Date.now() > deadline) throw new Error(`${coll}: ${done} of ${count} documents after ${limitMs} ms`);
      await pause(LOOK_MS);
      // The first document of all may be in any of them.
      if (first === undefined) return;
    }
  };
  const isWhole = ({ coll, count }: Expected): boolean => (counts.get(coll) ?? -1) >= count;
  while (first === undefined && !expected.every(isWhole)) for (const one of expected) await look(one);
  for (const one of expected) await look(one);
  const lastAt = performance.now();
  const total = expected.reduce((sum, { count }) => sum + count, 0);
  const { at, done } = first ?? { at: lastAt, done: 0 };
  return { perSecond: ((total - done) * 1000) / Math.max(1, lastAt - at), lastAt };
};

/** Documents per second from the first one on the target to the last. */
export const timeCopy = async (client: MongoClient, coll: string, count: number, limitMs: number): Promise<number> =>
  (await copyTimes(client, [{ coll, count, indexes: 0 }], limitMs)).perSecond;
