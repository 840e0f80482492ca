import type { Collection, Document, MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { identityOf } from "#base/bson/identity.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";

/** What differs, by `_id` as hexadecimal BSON; the first few of each. */
export type Comparison = Readonly<{
  source: number;
  target: number;
  missing: readonly string[];
  extra: readonly string[];
  different: readonly Readonly<{ id: string; source: string; target: string }>[];
  /** How many documents differ in any way. */
  wrong: number;
}>;

const SHOWN = 5;

const cursorOf = (collection: Collection): AsyncIterator<Uint8Array> => {
  const found = collection.find({}, { raw: true, sort: { _id: 1 }, batchSize: 5000 });
  return (found as unknown as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Compares two collections byte for byte, streamed in `_id` order. Documents that do not meet their counterpart immediately
 * wait for it, so only differences are kept in memory.
 */
export const compare = async (source: Collection, target: Collection): Promise<Comparison> => {
  const waiting = { source: new Map<string, Uint8Array>(), target: new Map<string, Uint8Array>() };
  const seen = { source: 0, target: 0 };
  const different: Comparison["different"][number][] = [];
  let wrong = 0;

  const meet = (a: Uint8Array, b: Uint8Array): void => {
    if (Buffer.compare(a, b) === 0) return;
    wrong++;
    if (different.length < SHOWN) different.push({ id: identityOf(a), source: hex(a), target: hex(b) });
  };
  const arrive = (side: "source" | "target", document: Uint8Array): void => {
    const id = identityOf(document);
    const other = side === "source" ? "target" : "source";
    const found = waiting[other].get(id);
    if (found === undefined) {
      waiting[side].set(id, document);
      return;
    }
    waiting[other].delete(id);
    if (side === "source") meet(document, found);
    else meet(found, document);
  };

  const cursors = { source: cursorOf(source), target: cursorOf(target) };
  for (let open: ("source" | "target")[] = ["source", "target"]; open.length > 0; ) {
    const next = await Promise.all(open.map((side) => cursors[side].next()));
    const [a, b] = next;
    // The usual step costs no map: both sides bring the same bytes.
    const same = a?.done === false && b?.done === false && Buffer.compare(a.value, b.value) === 0;
    open.forEach((side, i) => {
      const step = next[i];
      if (step === undefined || step.done) return;
      seen[side]++;
      if (!same) arrive(side, step.value);
    });
    open = open.filter((_, i) => next[i]?.done === false);
  }
  const missing = [...waiting.source.keys()];
  const extra = [...waiting.target.keys()];
  return {
    ...seen,
    missing: missing.slice(0, SHOWN),
    extra: extra.slice(0, SHOWN),
    different,
    wrong: wrong + missing.length + extra.length,
  };
};

export type ConvergeOptions = Readonly<{
  source: MongoClient;
  target: MongoClient;
  /** Kafka's host:port. */
  kafka: string;
  /** The topic, named like its namespace. */
  topic: string;
  /** How long it may take, ms. */
  timeoutMs?: number;
  stateDb?: string;
}>;

let markers = 0;

/** Lowest position of each partition's lanes on the target. */
const positionsOf = async (target: MongoClient, topic: string, stateDb: string): Promise<Map<number, number>> => {
  const lanes = target.db(stateDb).collection<LaneRecord>("lanes");
  const positions = new Map<number, number>();
  for (const { partition, offset } of await lanes.find({ topic }).toArray()) {
    positions.set(partition, Math.min(Number(offset), positions.get(partition) ?? Number.POSITIVE_INFINITY));
  }
  return positions;
};

/**
 * After the last write to the source: inserts a marker there, waits until it is on the target and the lanes are at the
 * topic's end, and compares. A difference that stays while nothing is left to apply is final.
 * @throws FERRY_TIMEOUT with what was last seen, or an Error with the differences.
 */
export const waitConverged = async (options: ConvergeOptions): Promise<Comparison> => {
  const { kafka, topic, timeoutMs = 90_000, stateDb = "ferry" } = options;
  const { db, coll } = parseNamespace(topic);
  const [source, target] = [options.source.db(db).collection(coll), options.target.db(db).collection(coll)];
  await using client = new KafkaClient({ bootstrap: kafka, clientId: "test-compare", group: "test-compare" });
  const marker = { _id: `marker-${process.pid}-${++markers}` } as Document;
  await source.insertOne(marker);
  const ends = await waitFor(
    async () => {
      const marked = await target.findOne(marker);
      const latest = await client.offsets(topic, "latest");
      const positions = await positionsOf(options.target, topic, stateDb);
      const behind = latest.filter((end, partition) => (positions.get(partition) ?? 0) < end).length;
      if (marked !== null && behind === 0) return { done: latest };
      return { seen: { marker: marked !== null, latest, positions: Object.fromEntries(positions) } };
    },
    { what: `${topic} to be applied to its end`, clock: systemClock, timeoutMs, everyMs: 200 },
  );
  const found = await compare(source, target);
  if (found.wrong === 0) return found;
  // Only a record that came after our look (a duplicate after a restart of Connect) may still change anything.
  const later = await client.offsets(topic, "latest");
  if (later.some((end, partition) => end !== ends[partition])) return waitConverged(options);
  throw new Error(`${topic}: source and target differ: ${JSON.stringify(found)}`);
};

const QUERY_PLAN_KILLED = 175;

/** `compare`, where a collection may be dropped under its cursor: what cannot be compared is wrong, and compared again. */
export const compareLive = (source: Collection, target: Collection): Promise<Comparison> =>
  compare(source, target).catch((error: { code?: number }) => {
    if (error.code !== QUERY_PLAN_KILLED) throw error;
    return { source: 0, target: 0, missing: [], extra: [], different: [], wrong: 1 };
  });
