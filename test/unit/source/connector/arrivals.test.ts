import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Int32 } from "bson";
import fc from "fast-check";
import { isFerry } from "#base/errors/ferryError.ts";
import type { LogRecord } from "#base/flow/types.ts";
import type { FetchRequest, FetchResult } from "#io/kafka/client.ts";
import { Arrivals } from "#source/connector/arrivals.ts";
import { parseConnector } from "#source/connector/connectorConfig.ts";
import { ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { SeenChanges, SeenEvent } from "#source/stream/sourceProbe.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

const TOPICS = ["s.a", "s.b"] as const;
const capture = parseConnector({
  "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
  "connection.uri": "mongodb://h/",
  database: "s",
  pipeline: "[]",
  "output.json.formatter": "com.mongodb.kafka.connect.source.json.formatter.DefaultJson",
});

/** The n-th change was made in second n of the source's clock. */
const tokenOf = (n: number): ResumeToken =>
  ResumeToken.stored({ _data: `82${n.toString(16).toUpperCase().padStart(8, "0")}00000001` });
const timeOf = (n: number): bigint => tokenTime(tokenOf(n));

/** A source that is written to without an end, a connector that passes its changes on, and one partition or more for each topic. */
class Path {
  /** Changes so far. */
  made = 0;
  /** Passed on; the n-th of them is the (n+1)-th change. */
  sent = 0;
  /** What Connect has stored. */
  stored = 0;
  readonly lost = new Set<number>();
  readonly #partitions: number;
  /** How far Connect's clock is behind the source's, ms. */
  readonly #skewMs: number;
  readonly #log = new Map<string, LogRecord[]>();
  fetched = 0;
  /** A record that no decoder understands. */
  isOdd = false;

  constructor(partitions: number, skewMs: number) {
    this.#partitions = partitions;
    this.#skewMs = skewMs;
  }

  static topicOf(n: number): string {
    return TOPICS[n % TOPICS.length] as string;
  }

  /** Passes the next change on, or loses it. */
  send(isLost: boolean): void {
    if (this.sent === this.made) return;
    const n = ++this.sent;
    if (isLost) {
      this.lost.add(n);
      return;
    }
    const [db, coll] = Path.topicOf(n).split(".") as [string, string];
    const key = { _id: new Int32(n) };
    const event = this.isOdd
      ? {}
      : { _id: tokenOf(n), operationType: "insert", ns: { db, coll }, documentKey: key, fullDocument: key };
    const place = `${Path.topicOf(n)} ${n % this.#partitions}`;
    const records = this.#log.get(place) ?? [];
    const timestampMs = n * 1000 - this.#skewMs;
    records.push({ key: null, value: BSON.serialize(event), offset: records.length, timestampMs });
    this.#log.set(place, records);
  }

  has(n: number): boolean {
    return n <= this.sent && !this.lost.has(n);
  }

  #records(topic: string, partition: number): readonly LogRecord[] {
    return this.#log.get(`${topic} ${partition}`) ?? [];
  }

  readonly kafka = {
    topics: async () => [...TOPICS],
    offsets: async (topic: string) =>
      Array.from({ length: this.#partitions }, (_, partition) => this.#records(topic, partition).length),
    offsetAt: async (topic: string, partition: number, ms: number) => {
      const records = this.#records(topic, partition);
      const at = records.findIndex(({ timestampMs }) => timestampMs >= ms);
      return at === -1 ? records.length : at;
    },
    fetch: async ({ topic, partition, offset }: FetchRequest): Promise<FetchResult> => {
      const records = this.#records(topic, partition).slice(offset, offset + 3);
      this.fetched += records.length;
      return { records, end: offset + records.length } as unknown as FetchResult;
    },
  };

  /** As a busy source answers: something is written while it is asked. */
  readonly changes = async (_: unknown, after: ResumeToken, until: bigint): Promise<SeenChanges> => {
    this.made++;
    const first = Number(tokenTime(after) >> 32n) + 1;
    const last = Math.min(this.made, Number(until >> 32n) + 1, first + 6);
    const events: SeenEvent[] = [];
    for (let n = first; n <= last; n++) {
      const [db, coll] = Path.topicOf(n).split(".") as [string, string];
      events.push({ token: tokenOf(n), op: "insert", ns: { db, coll }, at: timeOf(n) });
    }
    return { events, complete: false, end: tokenOf(Math.max(last, first - 1)) };
  };
}

const lookAt = (path: Path, arrivals: Arrivals, upTo: number): Promise<boolean> =>
  arrivals.haveAll(timeOf(upTo), { capture, stored: tokenOf(path.stored), signal: new AbortController().signal });

/** A connector at work, some changes behind its source. */
const working = (partitions: number, skewMs: number) => {
  const path = new Path(partitions, skewMs);
  path.made = 5;
  for (let n = 0; n < 5; n++) path.send(false);
  path.stored = 4;
  return {
    path,
    arrivals: new Arrivals({ connector: "c", kafka: path.kafka, changes: path.changes, clock: new FakeClock() }),
  };
};

const STEPS = fc.array(fc.constantFrom("write", "send", "send", "store", "look", "lose"), { maxLength: 50 });
const SKEWS_MS = fc.constantFrom(-5000, 0, 1000, 30_000, 3_000_000);

const lostBefore = (path: Path, end: number): number[] => [...path.lost].filter((n) => n < end);

/** @returns false where a loss was named. @throws where a look says what is not the case */
const holds = async (path: Path, arrivals: Arrivals): Promise<boolean> => {
  const upTo = path.made;
  try {
    const hasAll = await lookAt(path, arrivals, upTo);
    assert.deepEqual(lostBefore(path, path.stored), [], "it went past a loss");
    if (hasAll) for (let n = 1; n <= upTo; n++) assert.ok(path.has(n), `change ${n} of ${upTo}`);
    return true;
  } catch (error) {
    if (!isFerry(error, "FERRY_CAPTURE_GAP")) throw error;
    assert.notDeepEqual(lostBefore(path, path.stored), [], "what is on its way is no loss");
    return false;
  }
};

const DO: Readonly<Record<string, (path: Path) => void>> = {
  write: (path) => path.made++,
  send: (path) => path.send(false),
  lose: (path) => path.send(true),
  store: (path) => {
    path.stored = path.sent;
  },
};

test("all of it is there only if it is, whatever the clocks show; a loss is named once the connector went past it", async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, SKEWS_MS, fc.integer({ min: 1, max: 3 }), async (steps, skewMs, partitions) => {
      const { path, arrivals } = working(partitions, skewMs);
      await lookAt(path, arrivals, path.made); // what was passed on before it is a matter of the connector's health
      for (const step of [...steps, "write", "send", "store", "look"]) {
        if (step !== "look") DO[step]?.(path);
        else if (!(await holds(path, arrivals))) return;
      }
    }),
    { numRuns: 500 },
  );
});

test("a source that is written to without an end is behind for no longer than the connector is", async () => {
  await fc.assert(
    fc.asyncProperty(SKEWS_MS, fc.integer({ min: 1, max: 3 }), async (skewMs, partitions) => {
      const { path, arrivals } = working(partitions, skewMs);
      path.made = 40;
      const upTo = path.made;
      assert.equal(await lookAt(path, arrivals, upTo), false);
      while (path.sent < path.made) path.send(false);
      path.stored = path.sent - 1;
      assert.equal(await lookAt(path, arrivals, upTo), true);
      // Each record is read once, where no clock makes it read again.
      if (skewMs <= 1000) assert.ok(path.fetched <= path.sent, `${path.fetched} of ${path.sent} records`);
    }),
  );
});

test("where records cannot be read, what Connect has stored tells", async () => {
  const { path, arrivals } = working(1, 0);
  path.isOdd = true;
  path.made = 9;
  while (path.sent < path.made) path.send(false);
  assert.equal(await lookAt(path, arrivals, 8), false);
  path.stored = 9;
  assert.equal(await lookAt(path, arrivals, 8), true);
});
