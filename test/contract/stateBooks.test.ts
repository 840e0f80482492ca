/**
 * What lanes note beside their positions: the drift ledger, marks of foreign writes, conflicts. In ferry's database, and in memory
 * where the simulation works with them.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Binary, BSON, Int32, Long, Timestamp } from "bson";
import { MongoClient } from "mongodb";
import type { ConflictRecord } from "#apply/conflict/conflictRecords.ts";
import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import type { ConflictBook, ForeignWrite, MarkBook } from "#apply/conflict/foreignWrites.ts";
import { MarkStore } from "#apply/conflict/marks.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { LaneSession } from "#io/mongo/session.ts";
import { StateDb } from "#io/state/stateDb.ts";
import type { DriftBook } from "#route/drift/driftBook.ts";
import { type DriftDecision, DriftLedger } from "#route/drift/ledger.ts";
import { type Change, TypeEntry } from "#route/drift/observer.ts";
import { MemoryClient, MemoryDatabase } from "../harness/memory/database.ts";
import { MemoryDrift } from "../harness/memory/drift.ts";
import { MemoryConflicts, MemoryMarks } from "../harness/memory/foreign.ts";
import { sharedMongo } from "../harness/servers.ts";

type Opened = AsyncDisposable &
  Readonly<{
    drift: DriftBook &
      Readonly<{
        decide: (route: string, path: string, type: string | null, verdict: DriftDecision["verdict"]) => Promise<void>;
      }>;
    marks: MarkBook;
    conflicts: ConflictBook;
    /** Ids of all conflicts. */
    stored: () => Promise<readonly string[]>;
    /** In a transaction of its own; committed where the work answers true. */
    inTx: (work: (tx: StateTx) => Promise<boolean>) => Promise<void>;
  }>;

const FORMS: Readonly<Record<string, () => Promise<Opened>>> = {
  mongodb: async () => {
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    const state = new StateDb(client, `ferry_${randomUUID().slice(0, 8)}`);
    await state.prepare();
    const conflicts = new ConflictStore(state);
    return {
      drift: new DriftLedger(state),
      marks: new MarkStore(state),
      conflicts,
      stored: async () => (await conflicts.list({}, 10)).map(({ _id }) => _id).sort(),
      inTx: async (work) => {
        const session = new LaneSession(client);
        await session.transaction("the test", work).finally(() => session.end());
      },
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async () => {
    const client = new MemoryClient(new MemoryDatabase());
    const conflicts = new MemoryConflicts(client);
    return {
      drift: new MemoryDrift(client),
      marks: new MemoryMarks(client),
      conflicts,
      stored: async () => [...(await conflicts.all()).keys()].sort(),
      inTx: (work) => client.session().transaction("the test", work),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

const ROUTE = "test.books";
const keyOf = (id: number): Uint8Array => BSON.serialize({ _id: new Int32(id) });
const at = (n: number): Timestamp => new Timestamp({ t: n, i: 0 });
/** The driver's class of a value is not that of ferry's own. */
const secondsOf = (time: Timestamp | undefined): number | undefined => time && Number(time.toBigInt() >> 32n);

const seen = (path: string, count: number, offset: number): Change => {
  const entry = new TypeEntry(path, "int", "field");
  entry.verdict = "drop";
  entry.firstAt = entry.lastAt = BigInt(offset);
  entry.firstOffset = entry.lastOffset = offset;
  return { entry, count };
};

const conflictOf = (offset: number): ConflictRecord => ({
  ...{ _id: `${ROUTE}/0/${offset}`, route: ROUTE, partition: 0, offset: Long.fromNumber(offset), ns: ROUTE },
  key: new Binary(Buffer.from(identityOf(keyOf(1)), "latin1")),
  documentKey: new Binary(keyOf(1)),
  ...{ policy: "merge", winner: "source", why: "a test", fields: [], source: null, target: null },
  ...{ sourceBytes: 0, targetBytes: 0, at: at(1), storedAt: new Date(0) },
});

for (const [form, open] of Object.entries(FORMS)) {
  test(`${form}: the drift ledger adds counts to what is there, in a transaction or not at all, and has decisions beside`, async () => {
    await using opened = await open();
    const { drift, inTx } = opened;
    const where = { route: ROUTE, partition: 0 };
    assert.equal(await drift.isEmpty(ROUTE), true);
    await inTx(async (tx) => {
      await drift.write(where, [seen("a", 2, 5)], tx);
      return false;
    });
    assert.equal(await drift.isEmpty(ROUTE), true, "given up");
    await inTx(async (tx) => {
      await drift.write(where, [seen("a", 2, 5), seen("b", 1, 5)], tx);
      return true;
    });
    await drift.write(where, [seen("a", 3, 9)], undefined);
    await drift.write({ ...where, route: "test.other" }, [seen("a", 1, 1)], undefined);
    const [a, ...others] = await drift.read(ROUTE, ["a"]);
    assert.equal(others.length, 0);
    assert.deepEqual(
      [Number(a?.count), Number(a?.first.offset), Number(a?.last.offset), a?.outcome, a?.baseline],
      [5, 5, 9, "drop", false],
    );
    assert.deepEqual((await drift.read(ROUTE)).map(({ path }) => path).sort(), ["a", "b"]);
    await drift.decide(ROUTE, "a", null, "pass");
    await drift.decide(ROUTE, "a", null, "drop");
    assert.deepEqual(
      (await drift.decisions(ROUTE)).map(({ path, type, verdict }) => [path, type, verdict]),
      [["a", null, "drop"]],
    );
  });

  test(`${form}: marks keep the newest time of each field, of the whole, and up to where they are settled`, async () => {
    await using opened = await open();
    const { marks, inTx } = opened;
    const write = (n: number, fields: ForeignWrite["fields"]): ForeignWrite => ({
      documentKey: keyOf(1),
      at: at(n),
      fields,
    });
    await marks.note(ROUTE, [write(2, ["a"]), write(4, ["b.c"])]);
    await marks.note(ROUTE, [write(2, ["a"]), write(3, undefined), { ...write(3, []), documentKey: keyOf(2) }]);
    const identity = identityOf(keyOf(1));
    const found = await marks.read(ROUTE, [identity, identityOf(keyOf(3))]);
    assert.deepEqual([...found.keys()], [identity]);
    const { mark, settled } = found.get(identity) ?? {};
    assert.equal(settled, undefined);
    assert.deepEqual([secondsOf(mark?.at), secondsOf(mark?.whole)], [4, 3]);
    const fields = Object.entries(mark?.fields ?? {}).map(([name, time]) => [name, secondsOf(time)]);
    assert.deepEqual(Object.fromEntries(fields), { a: 2, "b%2ec": 4 });
    const keys: number[] = [];
    for await (const key of marks.keys(ROUTE)) keys.push(BSON.deserialize(key)["_id"]);
    assert.deepEqual(keys.sort(), [1, 2]);
    await inTx(async (tx) => {
      await marks.settle(ROUTE, [identity], at(4), tx);
      return true;
    });
    assert.equal(secondsOf((await marks.read(ROUTE, [identity])).get(identity)?.settled), 4);
  });

  test(`${form}: conflicts are stored with their transaction, and once`, async () => {
    await using opened = await open();
    const { conflicts, stored, inTx } = opened;
    for (const isCommitted of [false, true, true])
      await inTx(async (tx) => {
        await conflicts.add([conflictOf(1)], tx);
        return isCommitted;
      });
    await conflicts.add([conflictOf(2)], undefined);
    assert.deepEqual(await stored(), [`${ROUTE}/0/1`, `${ROUTE}/0/2`]);
  });
}
