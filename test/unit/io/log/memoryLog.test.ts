import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogBatch, WriteEvent } from "#base/flow/types.ts";
import { type Appendable, MemoryLog } from "#io/log/memoryLog.ts";

const never = new AbortController().signal;

const records = (count: number, size = 10): Appendable[] =>
  Array.from({ length: count }, () => ({ key: null, value: null, offset: -1, timestampMs: 0, size }));

const logOf = (limitBytes: number, readers: readonly string[] = ["r"]): MemoryLog =>
  new MemoryLog({ id: "x", limitBytes, readersOf: () => readers });

const append = (log: MemoryLog, count: number, size = 10): Promise<void> =>
  log.append("t", records(count, size), count * size, never);

/** Whether a promise is settled by now. */
const isDone = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol();
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
};

const next = async (batches: AsyncIterator<LogBatch>): Promise<readonly number[]> => {
  const { value } = await batches.next();
  return (value as LogBatch).records.map(({ offset }) => offset);
};

test("records get offsets in the order of their appending, and are read from any of them", async () => {
  const log = logOf(1000);
  log.open("t", { first: 5, next: 5, high: 5 });
  await append(log, 3);
  await append(log, 2);
  const from = async (offset: number): Promise<readonly number[]> =>
    next(log.partition("t", 0, "r").read(offset, never)[Symbol.asyncIterator]());
  assert.deepEqual(await from(5), [5, 6, 7]);
  assert.deepEqual(await from(7), [7]);
  assert.deepEqual(await from(8), [8, 9]);
});

test("appending waits until every reader has what is held on the target", async () => {
  const log = logOf(50, ["a", "b"]);
  log.open("t", { first: 0, next: 0, high: 0 });
  await append(log, 5);
  const more = append(log, 1);
  log.settle("t", "a", 5);
  assert.equal(await isDone(more), false);
  log.settle("t", "b", 5);
  await more;
  assert.deepEqual(await log.bounds("t"), { earliest: [5], latest: [6] });
});

test("what was read and not settled is read again", async () => {
  const log = logOf(1000);
  log.open("t", { first: 0, next: 0, high: 0 });
  await append(log, 4);
  const first = log.partition("t", 0, "r").read(0, never)[Symbol.asyncIterator]();
  assert.deepEqual(await next(first), [0, 1, 2, 3]);
  const again = log.partition("t", 0, "r").read(2, never)[Symbol.asyncIterator]();
  assert.deepEqual(await next(again), [2, 3]);
});

test("what is captured again and is on the target already takes no room", async () => {
  const log = logOf(50);
  log.open("t", { first: 10, next: 10, high: 20 });
  assert.deepEqual(await log.bounds("t"), { earliest: [10], latest: [20] });
  const batches = log.partition("t", 0, "r").read(20, never)[Symbol.asyncIterator]();
  await append(log, 5);
  await append(log, 5);
  await append(log, 2);
  assert.deepEqual(await next(batches), [20, 21]);
});

test("lanes that a killed process left behind pass over what it had given out, also where nothing more comes", async () => {
  const log = logOf(1000);
  log.open("t", { first: 3, next: 7, high: 7 });
  const settled = log.settledTo(log.ends(), never);
  const batches = log.partition("t", 0, "r").read(3, never)[Symbol.asyncIterator]();
  assert.equal(await isDone(settled), false);
  const { value } = await batches.next();
  assert.deepEqual(value, { records: [], bytes: 0, end: 7, highWatermark: 7, turn: undefined });
  log.settle("t", "r", 7);
  await settled;
  await append(log, 2);
  assert.deepEqual(
    (await log.peek("t", 0, 3)).map(({ offset }) => offset),
    [7, 8],
  );
  assert.deepEqual(await next(batches), [7, 8]);
});

test("an end is settled when every reader has passed it; reading from an offset says so too", async () => {
  const log = logOf(1000, ["a", "b"]);
  log.open("t", { first: 0, next: 0, high: 0 });
  await append(log, 3);
  const settled = log.settledTo(log.ends(), never);
  log.settle("t", "a", 3);
  assert.equal(await isDone(settled), false);
  log.partition("t", 0, "b").read(3, never);
  await settled;
});

test("a stop ends reading and waiting", async () => {
  const log = logOf(10);
  log.open("t", { first: 0, next: 0, high: 0 });
  const stop = new AbortController();
  const batches = log.partition("t", 0, "r").read(0, stop.signal)[Symbol.asyncIterator]();
  const reading = batches.next();
  await append(log, 1);
  await reading;
  const waiting = log.append("t", records(1), 10, stop.signal);
  const idle = batches.next();
  stop.abort(new Error("stopped"));
  assert.equal((await idle).done, true);
  await assert.rejects(waiting, /stopped/);
});

test("chunks of the copy go round the lanes, each whole, and the same way when they are read again; others go by key", async () => {
  const log = logOf(1000);
  log.open("t", { first: 0, next: 0, high: 0 });
  const event: WriteEvent = {
    ...{ op: "write", origin: "copy", fresh: true, at: 1n, ns: { db: "d", coll: "c" } },
    ...{ key: new Uint8Array(), doc: new Uint8Array() },
  };
  const copied = (): Promise<void> =>
    log.append(
      "t",
      records(2).map((record) => ({ ...record, event })),
      20,
      never,
    );
  await copied();
  await copied();
  await append(log, 1);
  const turns = async (offset: number, count: number): Promise<readonly (number | undefined)[]> => {
    const batches = log.partition("t", 0, "r").read(offset, never)[Symbol.asyncIterator]();
    const read: (number | undefined)[] = [];
    for (let i = 0; i < count; i++) read.push(((await batches.next()).value as LogBatch).turn);
    return read;
  };
  assert.deepEqual(await turns(0, 3), [0, 1, undefined]);
  assert.deepEqual(await turns(3, 2), [1, undefined], "from the middle of a chunk");
});
