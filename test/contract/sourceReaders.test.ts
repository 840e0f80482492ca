/**
 * What reads of servers: the source for a capture (its copy, its changes, single documents), and others' writes to the target. On a
 * server, and in memory where the simulation works with it.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { BSON, type Document, Int32, type Timestamp } from "bson";
import { MongoClient } from "mongodb";
import type { ForeignWrite, ForeignWrites, WatchStart } from "#apply/conflict/foreignWrites.ts";
import { TargetStream } from "#apply/conflict/targetStream.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Logger } from "#base/observe/log.ts";
import { LaneSession, within } from "#io/mongo/session.ts";
import { type CaptureSource, captureSourceOf } from "#source/capture/captureSource.ts";
import type { RangeBounds } from "#source/copy/rangeReader.ts";
import { type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import { Scope } from "#source/stream/scope.ts";
import { documentsOf, type SourceDocuments } from "#source/stream/sourceDocuments.ts";
import { clusterTime, noteStart } from "#source/stream/sourceProbe.ts";
import { type Changes, type EventBatch, featuresOf } from "#source/stream/sourceStream.ts";
import { MemoryCaptureSource, MemorySource, tokenAt } from "../harness/memory/captureSource.ts";
import { MemoryClient, MemoryDatabase, timeOf } from "../harness/memory/database.ts";
import { MemoryForeignWrites, writeAsOther } from "../harness/memory/foreign.ts";
import { documentKeyIn } from "../harness/memory/memorySink.ts";
import { sharedMongo } from "../harness/servers.ts";
import { Source } from "../harness/simulation/source.ts";

type Fields = Readonly<Record<string, number>>;

/** A collection whose keys are small numbers, as services write it. */
type Written = Readonly<{
  /** The whole document; undefined removes it. */
  put: (key: number, fields: Fields | undefined) => Promise<void>;
  /** Some of its fields. */
  set: (key: number, fields: Fields) => Promise<void>;
}>;

type Opened = AsyncDisposable &
  Written &
  Readonly<{
    db: string;
    source: CaptureSource;
    /** After all that was written by now. */
    position: () => Promise<ResumeToken>;
    foreign: (from: WatchStart) => Promise<ForeignWrites>;
    /** Nothing is written at an earlier time from now on. */
    time: () => Promise<Timestamp>;
    /** A lane's write of a whole document. */
    lane: (key: number, fields: Fields) => Promise<void>;
  }>;

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const COLL = "users";
const keyOf = (key: number): Uint8Array => BSON.serialize({ _id: new Int32(key) });
const ints = (fields: Fields): Document =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, new Int32(value)]));
const at = (n: Timestamp): bigint => n.toBigInt();

const onServer = async () => {
  const client = await new MongoClient((await sharedMongo()).uri).connect();
  const ns = { db: `read_${randomUUID().slice(0, 8)}`, coll: COLL };
  await client.db(ns.db).createCollection(ns.coll);
  return { client, ns, users: client.db(ns.db).collection<{ _id: number } & Document>(ns.coll) };
};

const FORMS: Readonly<Record<string, () => Promise<Opened>>> = {
  mongodb: async () => {
    const { client, ns, users } = await onServer();
    const { version } = (await client.db("admin").command({ buildInfo: 1 })) as Document & { version: string };
    const scope = new Scope({ include: [`${ns.db}.${ns.coll}`], exclude: [] }, "ferry");
    const session = new LaneSession(client);
    return {
      db: ns.db,
      source: captureSourceOf({
        ...{ source: client, scope, clock: systemClock, logger: silent, features: featuresOf(version, false) },
        copySource: {
          client: async () => client,
          readPreference: "primary",
          pace: undefined,
          answer: (reply) => reply,
        },
      }),
      put: async (key, fields) => {
        if (fields === undefined) await users.deleteOne({ _id: key });
        else await users.replaceOne({ _id: key }, ints(fields), { upsert: true });
      },
      set: async (key, fields) => void (await users.updateOne({ _id: key }, { $set: ints(fields) })),
      position: async () => (await noteStart(client, { level: "database", db: ns.db, coll: "" })).token,
      foreign: (from) => TargetStream.open(client, ns, from),
      time: () => clusterTime(client),
      lane: (key, fields) =>
        session.transaction("the test", async (tx) => {
          await users.replaceOne({ _id: key }, ints(fields), { upsert: true, ...within(tx) });
          return true;
        }),
      [Symbol.asyncDispose]: async () => {
        await session.end();
        await client.close();
      },
    };
  },
  memory: async () => {
    const source = new MemorySource({ db: "test", coll: COLL });
    const target = new MemoryClient(new MemoryDatabase());
    const other = (key: number, change: (now: Document | undefined) => Document | undefined): void =>
      void writeAsOther(target, COLL, keyOf(key), change);
    return {
      db: "test",
      source: new MemoryCaptureSource(source, systemClock, async () => undefined),
      put: async (key, fields) => {
        source.put(key, fields && ints(fields));
        other(key, () => fields && { _id: new Int32(key), ...ints(fields) });
      },
      set: async (key, fields) => {
        source.set(key, ints(fields));
        other(key, (now) => now && { ...now, ...ints(fields) });
      },
      position: async () => tokenAt(source.at),
      foreign: async (from) => new MemoryForeignWrites(target, systemClock, COLL, from),
      time: async () => timeOf(target.db.version + 1),
      lane: (key, fields) =>
        target.session().transaction("the test", async (tx) => {
          const document = BSON.serialize({ _id: new Int32(key), ...ints(fields) });
          await target.put(documentKeyIn(COLL, keyOf(key)), document, tx);
          return true;
        }),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

const LIMIT_MS = 20_000;
const SHORT_MS = 50;

/** Replies until they have so many events. */
const repliesWith = async (changes: Changes, count: number): Promise<readonly EventBatch[]> => {
  const replies: EventBatch[] = [];
  const total = (): number => replies.reduce((sum, { events }) => sum + events.length, 0);
  return waitFor(
    async () => {
      replies.push(await changes.next(SHORT_MS));
      return total() >= count ? { done: replies } : { seen: total() };
    },
    { what: `${count} events`, clock: systemClock, timeoutMs: LIMIT_MS, everyMs: 1 },
  );
};

/** `insert 1 {"a":1}`: what an event says, with the document that it came with. */
const textOf = (event: Uint8Array): string => {
  const { operationType, documentKey, fullDocument } = BSON.deserialize(event);
  return `${operationType} ${documentKey._id} ${JSON.stringify(fullDocument)}`;
};

const textsOf = (replies: readonly EventBatch[]): readonly string[] =>
  replies.flatMap(({ events }) => events.map(textOf));

/** Bounds of a range, by their keys. */
const bounds = (from?: number, to?: number, after?: number): RangeBounds => ({
  from: from === undefined ? undefined : keyOf(from),
  to: to === undefined ? undefined : keyOf(to),
  after: after === undefined ? undefined : keyOf(after),
  at: 1n << 32n, // every source is later
});

/** Everything of a range; after the first chunk another reader takes over, as after a kill. */
const copied = async ({ ranges }: CaptureSource, db: string, range: RangeBounds): Promise<readonly number[]> => {
  const ids: number[] = [];
  let rest = range;
  for (let isFirst = true; ; isFirst = false) {
    await using reader = await ranges.open({ ns: { db, coll: COLL }, order: undefined, bounds: rest }, 50);
    for (let ended = false; !ended; ) {
      const chunk = await reader.next();
      ids.push(...chunk.documents.map((document) => BSON.deserialize(document)["_id"] as number));
      if (chunk.ended) return ids;
      rest = { ...rest, after: chunk.last };
      ended = isFirst;
    }
  }
};

for (const [form, open] of Object.entries(FORMS)) {
  test(`${form}: the changes after a position come in their order, documents as they are when they are read`, async () => {
    await using one = await open();
    await one.put(1, { a: 1 });
    const start = await one.position();
    await one.put(2, { a: 2 });
    await one.set(1, { a: 3 });
    await one.set(2, { a: 4 });
    await one.put(1, { b: 5 });
    await one.put(2, undefined);
    await using changes = one.source.changes(start);
    const replies = await repliesWith(changes, 5);
    const texts = textsOf(replies);
    assert.deepEqual(texts, [
      'insert 2 {"_id":2,"a":2}',
      'update 1 {"_id":1,"b":5}',
      "update 2 null",
      'replace 1 {"_id":1,"b":5}',
      "delete 2 undefined",
    ]);
    // Each reply's position leads on to what came after it, and repeats nothing.
    await one.put(3, { a: 6 });
    let read = 0;
    for (const { events, token } of replies) {
      read += events.length;
      await using rest = one.source.changes(token);
      const left = textsOf(await repliesWith(rest, texts.length - read + 1));
      assert.deepEqual(left, [...texts.slice(read), 'insert 3 {"_id":3,"a":6}']);
    }
  });

  test(`${form}: where nothing happens a reply is empty after the wait, and its position follows the source's time`, async () => {
    await using one = await open();
    const start = await one.position();
    await using changes = one.source.changes(start);
    const { events } = await changes.next(SHORT_MS);
    assert.deepEqual(events, []);
    await waitFor(
      async () => {
        await one.source.resting.note(); // again and again, as a capture does it
        const { token } = await changes.next(SHORT_MS);
        return tokenTime(token) > tokenTime(start) ? { done: undefined } : { seen: token };
      },
      { what: "a later position", clock: systemClock, timeoutMs: LIMIT_MS, everyMs: 1 },
    );
    // One that waits is interrupted; the next call continues.
    const waiting = changes.next(1000).catch(() => undefined);
    await systemClock.sleep(SHORT_MS); // it waits by then
    await changes.interrupt();
    assert.deepEqual((await waiting)?.events ?? [], []);
    await one.put(1, { a: 1 });
    assert.deepEqual(textsOf(await repliesWith(changes, 1)), ['insert 1 {"_id":1,"a":1}']);
    assert.ok(Math.abs((await one.source.now()) - Date.now()) < 60_000);
  });

  test(`${form}: a range is read in the order of its keys, within its bounds, and resumes after a chunk`, async () => {
    await using one = await open();
    for (const key of [5, 1, 4, 2, 3]) await one.put(key, { a: key });
    const { db } = one;
    assert.equal(await one.source.ranges.isCollection({ db, coll: COLL }), true);
    assert.deepEqual(await copied(one.source, db, bounds()), [1, 2, 3, 4, 5]);
    assert.deepEqual(await copied(one.source, db, bounds(2, 5)), [2, 3, 4]);
    assert.deepEqual(await copied(one.source, db, bounds(2, undefined, 3)), [4, 5]);
    assert.deepEqual(await copied(one.source, db, bounds(undefined, 2, 1)), []);
  });

  test(`${form}: others' writes to the target come in their order with their fields, and lanes' writes do not`, async () => {
    await using one = await open();
    const since = await one.time();
    await using watch = await one.foreign({ at: since });
    await one.put(1, { a: 1 });
    await one.lane(2, { a: 1 });
    await one.lane(1, { a: 2 });
    await one.set(1, { a: 3, b: 3 });
    await one.put(1, undefined);
    const seen = await writesOf(watch, 3);
    assert.deepEqual(seen.map(writeText), ["1: _id a", "1: a b", "1: whole"]);
    const [first, , last] = seen as readonly [ForeignWrite, ForeignWrite, ForeignWrite];
    assert.ok(at(since) <= at(first.at) && at(first.at) < at(last.at));
    // What came before a position is not reported again, and a time includes what was written at it.
    await using again = await one.foreign({ at: last.at });
    assert.deepEqual((await writesOf(again, 1)).map(writeText), ["1: whole"]);
    const { token } = await again.next(SHORT_MS);
    await one.put(3, { a: 1 });
    await using rest = await one.foreign({ after: token });
    assert.deepEqual((await writesOf(rest, 1)).map(writeText), ["3: _id a"]);
  });
}

const writeText = ({ documentKey, fields }: ForeignWrite): string =>
  `${BSON.deserialize(documentKey)["_id"]}: ${fields === undefined ? "whole" : [...fields].sort().join(" ")}`;

/** Others' writes until there are so many, and a reply says that none is missing up to the last one's time. */
const writesOf = async (watch: ForeignWrites, count: number): Promise<readonly ForeignWrite[]> => {
  const writes: ForeignWrite[] = [];
  return waitFor(
    async () => {
      const reply = await watch.next(SHORT_MS);
      assert.equal(reply.ended, false);
      writes.push(...reply.writes);
      const last = writes.at(-1);
      const isComplete = writes.length >= count && reply.upTo !== undefined && last !== undefined;
      return isComplete && at(reply.upTo) >= at(last.at) ? { done: writes } : { seen: writes.map(writeText) };
    },
    { what: `${count} writes of others`, clock: systemClock, timeoutMs: LIMIT_MS, everyMs: 1 },
  );
};

/** Single documents of a source, and how its documents are changed. */
type Documents = AsyncDisposable &
  Readonly<{ documents: SourceDocuments; put: (key: number, fields: Fields | undefined) => Promise<void> }>;

const DOCUMENTS: Readonly<Record<string, () => Promise<Documents>>> = {
  mongodb: async () => {
    const { client, ns, users } = await onServer();
    return {
      documents: documentsOf(async () => client, ns),
      put: async (key, fields) => {
        if (fields === undefined) await users.deleteOne({ _id: key });
        else await users.replaceOne({ _id: key }, ints(fields), { upsert: true });
      },
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async () => {
    const source = new Source();
    return {
      documents: { read: async (keys) => source.read(keys) },
      put: async (key, fields) =>
        void (fields === undefined ? source.step({ do: "delete", key }) : source.put(key, fields)),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

for (const [form, open] of Object.entries(DOCUMENTS))
  test(`${form}: documents are found by their keys as they are now, and those that are gone are left out`, async () => {
    await using one = await open();
    for (const key of [1, 2, 3]) await one.put(key, { a: key });
    await one.put(2, { a: 7, b: 8 });
    await one.put(3, undefined);
    const found = await one.documents.read([4, 3, 2, 1].map(keyOf), 0n);
    const wanted = [
      { _id: new Int32(1), a: new Int32(1) },
      { _id: new Int32(2), a: new Int32(7), b: new Int32(8) },
    ].map((document) => Buffer.from(BSON.serialize(document)).toString("hex"));
    assert.deepEqual(found.map((document) => Buffer.from(document).toString("hex")).sort(), wanted.sort());
    assert.deepEqual(await one.documents.read([], 0n), []);
  });
