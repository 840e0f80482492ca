/** The capture's record, as its owner works with it: in ferry's database, and in memory where the simulation works with it. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Binary, BSON, Int32, Long, Timestamp } from "bson";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { StateDb } from "#io/state/stateDb.ts";
import type { CaptureBook } from "#source/capture/captureBook.ts";
import { type CaptureRecord, CaptureStore, type NewCapture } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { rangeId } from "#source/copy/rangeRecord.ts";
import { MemoryCaptureBook } from "../harness/memory/captureBook.ts";
import { tokenAt } from "../harness/memory/captureSource.ts";
import { MemoryClient, MemoryDatabase } from "../harness/memory/database.ts";
import { FakeClock } from "../harness/memory/fakeClock.ts";
import { sharedMongo } from "../harness/servers.ts";

const TOPIC = "test.users";
const LEASE_MS = 500;

type Owner = CaptureBook &
  Readonly<{
    read: () => Promise<CaptureRecord | undefined>;
    claim: () => Promise<boolean>;
    release: () => Promise<void>;
  }>;

type Opened = AsyncDisposable & Readonly<{ owner: (name: string) => Owner; wait: (ms: number) => Promise<void> }>;

const START = tokenAt(5n << 32n);

const NEW: NewCapture = {
  ...{ id: "capture", mode: "direct", phase: "copy", generation: 1 },
  source: { hosts: [] } as unknown as CaptureRecord["source"],
  scope: { include: [TOPIC], exclude: [] },
  ...{ start: START, startAt: new Timestamp(5n << 32n), token: START },
  topics: [{ name: TOPIC, next: Long.ZERO }],
};

const RANGES = [1, 0].map((index): RangeRecord => {
  const bound = (n: number): Binary | null => (n === 1 ? new Binary(BSON.serialize({ _id: new Int32(9) })) : null);
  const progress = { at: null, documents: Long.ZERO, done: false };
  return {
    _id: rangeId(TOPIC, 1, index),
    topic: TOPIC,
    generation: 1,
    index,
    from: bound(index),
    to: bound(index + 1),
    ...progress,
  };
});

const FORMS: Readonly<Record<string, () => Promise<Opened>>> = {
  mongodb: async () => {
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    const state = new StateDb(client, `ferry_${randomUUID().slice(0, 8)}`);
    await state.prepare();
    await new CaptureStore(state, "first", LEASE_MS).begin(NEW, RANGES);
    return {
      owner: (name) => new CaptureStore(state, name, LEASE_MS),
      wait: (ms) => systemClock.sleep(ms),
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async () => {
    const clock = new FakeClock();
    const client = new MemoryClient(new MemoryDatabase(() => clock.now()));
    const plan = "plan";
    const record = { _id: "capture" as const, ...NEW, plan, epoch: Long.ZERO, owner: null, expiresAt: null };
    const planned = RANGES.map((range) => ({ ...range, plan }));
    await new MemoryCaptureBook(client, "first", LEASE_MS).begin({ ...record, startedAt: new Date(0) }, planned);
    return {
      owner: (name) => new MemoryCaptureBook(client, name, LEASE_MS),
      wait: (ms) => clock.pass(ms),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

for (const [form, open] of Object.entries(FORMS)) {
  test(`${form}: a capture has one owner, for as long as it renews its lease, and a former one changes nothing`, async () => {
    await using opened = await open();
    const [owner, other] = [opened.owner("owner"), opened.owner("other")];
    assert.ok(await owner.claim());
    for (let renewed = 0; renewed < 3; renewed++) {
      await opened.wait(LEASE_MS / 2);
      await owner.renew();
    }
    assert.equal(await other.claim(), false);
    await opened.wait(LEASE_MS + 50);
    assert.ok(await other.claim());
    const later = tokenAt(9n << 32n);
    for (const stale of [() => owner.renew(), () => owner.save({ token: later }), () => owner.noteLag(1)])
      await assert.rejects(stale, { code: "FERRY_FENCED" });
    await other.save({ token: later, topics: [{ name: TOPIC, next: Long.fromNumber(7) }], phase: "stream" });
    const record = await other.read();
    assert.deepEqual(
      [record?.token._data, Number(record?.topics[0]?.next), record?.phase, record?.start._data],
      [later._data, 7, "stream", START._data],
    );
    await other.release();
    assert.ok(await owner.claim(), "free at once");
  });

  test(`${form}: ranges come in their order, and one that is done stays as it is`, async () => {
    await using opened = await open();
    const owner = opened.owner("owner");
    await owner.claim();
    const ranges = async (): Promise<readonly RangeRecord[]> => owner.ranges((await owner.read()) ?? { generation: 0 });
    const [first, second, ...others] = await ranges();
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual([first.index, second.index, others.length], [0, 1, 0]);
    const moved = (range: RangeRecord, n: number, done: boolean) => ({
      ...{ _id: range._id, at: new Binary(BSON.serialize({ _id: new Int32(n) })), documents: Long.fromNumber(n), done },
    });
    await owner.advance([moved(first, 2, true), moved(second, 3, false)]);
    await owner.advance([moved(first, 1, false), moved(second, 4, true)]);
    assert.deepEqual(
      (await ranges()).map(({ documents, done }) => [Number(documents), done]),
      [
        [2, true],
        [4, true],
      ],
    );
  });
}
