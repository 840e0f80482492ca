/**
 * What every sink promises (`src/sink/sink.ts`). A new sink adds itself to SINKS; what it cannot do (`can`) is left out for it.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { BSON, type Document, Int32 } from "bson";
import fc from "fast-check";
import { BSON as DriverBSON, MongoClient } from "mongodb";
import { identityOf } from "#base/bson/identity.ts";
import { systemClock } from "#base/flow/clock.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { freshWrite, type TargetOp } from "#base/flow/types.ts";
import { LaneSession } from "#io/mongo/session.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { CognitoAccount } from "#sink/cognito/cognitoAccount.ts";
import { CognitoSink } from "#sink/cognito/cognitoSink.ts";
import { UserBook } from "#sink/cognito/userBook.ts";
import { UserPool } from "#sink/cognito/userPool.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import type { Abilities, Sink } from "#sink/sink.ts";
import { ANY_CREDENTIALS } from "#tools/stack/cognitoLocal.ts";
import { CognitoServer } from "../harness/cognito/cognitoServer.ts";
import { MemoryClient, MemoryDatabase } from "../harness/memory/database.ts";
import { MemorySink } from "../harness/memory/memorySink.ts";
import { sharedMongo } from "../harness/servers.ts";

type Opened = AsyncDisposable &
  Readonly<{
    /** Empty; refuses documents with `bad: true`, and two with one value of `u` where `unique`. */
    sink: Sink;
    unique: boolean;
    /** What it keeps of a document: all of it, if it is `verbatim`. */
    kept: (document: Uint8Array) => Uint8Array;
    /** Runs work in a transaction of its own; commits where it answers true. */
    inTx: (work: (tx: StateTx) => Promise<boolean>) => Promise<void>;
  }>;

const WHOLE = { unique: true, kept: (document: Uint8Array) => document } as const;

const ATTRIBUTES = { "custom:a": "a", "custom:b": "b", "custom:bad": "bad" };
const SCHEMA = [{ Name: "a" }, { Name: "b" }, { Name: "bad", AttributeDataType: "Number" }] as const;
/** One for all cases, each of which has a pool of its own. */
let cognito: Promise<CognitoServer> | undefined;
after(async () => {
  await (await cognito)?.[Symbol.asyncDispose]();
});
const FOREVER = { signal: new AbortController().signal, onRetry: () => undefined };

const SINKS: Readonly<Record<string, () => Promise<Opened>>> = {
  mongodb: async () => {
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    const [db, coll] = ["sinkcontract", randomUUID()];
    const sink = new MongoSink(client, { db, coll });
    await sink.prepare();
    await client.db(db).command({ collMod: coll, validator: { bad: { $ne: true } } });
    await client
      .db(db)
      .collection(coll)
      .createIndex({ u: 1 }, { unique: true, partialFilterExpression: { u: { $exists: true } } });
    return {
      ...WHOLE,
      sink,
      inTx: async (work) => {
        const session = new LaneSession(client);
        await session.transaction("the test", work).finally(() => session.end());
      },
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async () => {
    const client = new MemoryClient(new MemoryDatabase());
    const validator = ({ bad }: Document): boolean => bad !== true;
    const sink = new MemorySink(client, { name: "memory", validator, unique: "u" });
    await sink.prepare();
    return {
      ...WHOLE,
      sink,
      inTx: (work) => client.session().transaction("the test", work),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  cognito: async () => {
    await using stack = new AsyncDisposableStack();
    Object.assign(process.env, ANY_CREDENTIALS); // where the SDK of this process looks first
    cognito ??= CognitoServer.start();
    const server = await cognito;
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    stack.defer(() => client.close());
    const pool = new UserPool(
      new CognitoAccount(
        { endpoint: server.endpoint, region: "local", quotas: { UserCreation: 1000, UserUpdate: 1000 } },
        systemClock,
      ),
      await server.createPool({ Schema: [...SCHEMA] }),
      FOREVER,
    );
    const state = new StateDb(client, `sinkcontract-${randomUUID()}`);
    await state.prepare();
    const place = { userPoolId: pool.id, username: "user-{_id}", attributes: ATTRIBUTES, onDelete: "delete" } as const;
    const book = new UserBook(state, { route: "contract", pool: pool.id }, systemClock);
    const sink = new CognitoSink({
      ...{ place, pool, book },
      clock: systemClock,
      tally: { add: async () => undefined },
    });
    await sink.prepare();
    const kept = stack.move();
    return {
      sink,
      unique: false,
      kept: (document) => {
        const { _id, a, b } = BSON.deserialize(document);
        const attributes = Object.entries({ "custom:a": a, "custom:b": b }).filter(([, value]) => value !== undefined);
        const texts = attributes.map(([name, value]) => [name, String(value)]);
        return BSON.serialize({
          _id: new Int32(_id),
          username: `user-${_id}`,
          enabled: true,
          ...Object.fromEntries(texts),
        });
      },
      inTx: () => assert.fail("it has no transactions"),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  },
};

const keyOf = (id: number): Uint8Array => BSON.serialize({ _id: new Int32(id) });
const docOf = (id: number, fields: Document = {}): Uint8Array => BSON.serialize({ _id: new Int32(id), ...fields });
const write = (id: number, fields: Document = {}, fresh = false): TargetOp => ({
  op: "write",
  key: keyOf(id),
  doc: docOf(id, fields),
  fresh,
});
const patch = (id: number, ...changes: Document[]): TargetOp => ({
  op: "patch",
  key: keyOf(id),
  changes: changes.map((one) => BSON.serialize(one)),
});
const remove = (id: number): TargetOp => ({ op: "delete", key: keyOf(id) });

/** Documents of these `_id`s, by identity, as hexadecimal text. */
const contents = async (sink: Sink, ids: readonly number[]): Promise<ReadonlyMap<string, string>> => {
  const found = await sink.read(ids.map(keyOf));
  return new Map(found.map((doc) => [identityOf(doc), Buffer.from(doc).toString("hex")]).sort() as [string, string][]);
};

const expect = async (
  { sink, kept }: Opened,
  ids: readonly number[],
  ...documents: readonly Uint8Array[]
): Promise<void> => {
  const wanted = documents
    .map(kept)
    .map((doc) => [identityOf(doc), Buffer.from(doc).toString("hex")] as [string, string]);
  assert.deepEqual(await contents(sink, ids), new Map(wanted.sort()));
};

/** A value as ferry's state gives it back: read by the driver, whose classes are not those of ferry's own values. */
const remembered = <T>(value: T): T => DriverBSON.deserialize(DriverBSON.serialize({ value }))["value"];

const failure = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was refused");
};

const CASES: Readonly<
  Record<string, Readonly<{ needs: readonly (keyof Abilities | "unique")[]; run: (opened: Opened) => Promise<void> }>>
> = {
  "a new document is written, and is refused with its bytes where it is there": {
    needs: ["verbatim"],
    run: async (opened) => {
      const { sink } = opened;
      assert.equal((await sink.look()).occupied, false);
      await sink.write([write(1, { a: 1 }, true)], undefined);
      assert.equal((await sink.look()).occupied, true);
      const again = write(1, { a: 2 }, true);
      const refusal = sink.refusal(await failure(sink.write([again], undefined)));
      assert.equal(refusal?.kind, "exists");
      assert.equal(refusal?.kind === "exists" && refusal.doc, again.op === "write" && again.doc);
      await expect(opened, [1], docOf(1, { a: 1 }));
    },
  },
  "a document goes over what is there, and is written where nothing is": {
    needs: [],
    run: async (opened) => {
      const { sink } = opened;
      await sink.write([write(1, { z: 1, a: 1 }, true)], undefined);
      await sink.write([write(1, { a: 2, z: { y: [1, null] } }), write(2, { b: 1 })], undefined);
      await expect(opened, [1, 2, 3], docOf(1, { a: 2, z: { y: [1, null] } }), docOf(2, { b: 1 }));
    },
  },
  "a deletion of what is not there changes nothing": {
    needs: [],
    run: async (opened) => {
      const { sink } = opened;
      await sink.write([freshWrite(docOf(1)), freshWrite(docOf(2))], undefined);
      await sink.write([remove(1), remove(3)], undefined);
      await sink.write([remove(1)], undefined);
      await expect(opened, [1, 2, 3], docOf(2));
    },
  },
  "changes reach a document that is there, and make none": {
    needs: ["patches"],
    run: async (opened) => {
      const { sink } = opened;
      await sink.write([freshWrite(docOf(1, { a: 1, o: { x: 1, y: 2 }, list: [1, 2, 3] }))], undefined);
      const cut = { $push: { list: { $each: [], $slice: 2 } } };
      await sink.write(
        [patch(1, cut, { $unset: { "o.x": "" } }, { $set: { a: 2, "o.z": 3 } }), patch(2, { $set: { a: 1 } })],
        undefined,
      );
      await expect(opened, [1, 2], docOf(1, { a: 2, o: { y: 2, z: 3 }, list: [1, 2] }));
    },
  },
  "of one key a deletion comes before a document, and changes after it": {
    needs: ["patches"],
    run: async (opened) => {
      const { sink } = opened;
      await sink.write([freshWrite(docOf(1, { old: 1 }))], undefined);
      await sink.write([remove(1), write(1, { a: 1 }, true)], undefined);
      await sink.write([write(1, { a: 2 }), patch(1, { $set: { b: 3 } })], undefined);
      await expect(opened, [1], docOf(1, { a: 2, b: 3 }));
    },
  },
  "the same batch once more leaves the same documents": {
    needs: ["patches"],
    run: async (opened) => {
      const { sink } = opened;
      const batch = [write(1, { a: 1 }), patch(1, { $set: { b: 1 } }), remove(2), write(3, { c: 1 })];
      for (const _ of [1, 2]) await sink.write(batch, undefined);
      await expect(opened, [1, 2, 3], docOf(1, { a: 1, b: 1 }), docOf(3, { c: 1 }));
    },
  },
  "a batch in a transaction is written with it, or not at all": {
    needs: ["transactions"],
    run: async (opened) => {
      const { sink, inTx } = opened;
      await inTx(async (tx) => {
        await sink.write([write(1, {}, true), write(2)], tx);
        assert.deepEqual(await sink.read([keyOf(1), keyOf(2)]), [], "nobody else sees it yet");
        return false;
      });
      await expect(opened, [1, 2]);
      const refused = inTx(async (tx) => {
        await sink.write([write(1, {}, true), write(2)], tx);
        await sink.write([write(3, { bad: true })], tx);
        return true;
      });
      assert.equal(sink.refusal(await failure(refused))?.kind, "rejected");
      await expect(opened, [1, 2, 3]);
      await inTx((tx) => sink.write([write(1, {}, true), write(2)], tx).then(() => true));
      await expect(opened, [1, 2], docOf(1), docOf(2));
    },
  },
  "of two transactions that write one document one is contended": {
    needs: ["transactions"],
    run: async (opened) => {
      const { sink, inTx } = opened;
      await sink.write([write(1, { by: "neither" })], undefined);
      await inTx(async (first) => {
        await sink.write([write(1, { by: "first" })], first);
        const second = inTx((tx) => sink.write([write(1, { by: "second" })], tx).then(() => true));
        assert.equal(sink.refusal(await failure(second))?.kind, "contended");
        return true;
      });
      await expect(opened, [1], docOf(1, { by: "first" }));
    },
  },
  "a refused document is told from others, and explained": {
    needs: [],
    run: async (opened) => {
      const { sink } = opened;
      const invalid = await failure(sink.write([write(1, { bad: true })], undefined));
      assert.deepEqual(sink.refusal(invalid), { kind: "rejected" });
      assert.equal((await sink.explain(invalid)).clash, undefined);
      await expect(opened, [1]);
      for (const other of [new Error("something else"), undefined]) {
        assert.equal(sink.refusal(other), undefined);
        assert.equal((await sink.explain(other)).clash, undefined);
      }
    },
  },
  "a value that another document has is refused with its index and that document": {
    needs: ["unique"],
    run: async ({ sink }) => {
      await sink.write([write(1, { u: "one" })], undefined);
      const taken = await failure(sink.write([write(2, { u: "one" })], undefined));
      assert.deepEqual(sink.refusal(taken), { kind: "rejected" });
      const { clash, serverCode } = await sink.explain(taken);
      assert.equal(typeof serverCode, "number");
      assert.equal(clash?.index, "u_1");
      assert.equal(identityOf(clash?.other ?? new Uint8Array()), identityOf(keyOf(1)));
    },
  },
  "all keys are listed, in batches": {
    needs: ["keys"],
    run: async ({ sink }) => {
      const ids = Array.from({ length: 25 }, (_, id) => id);
      await sink.write(
        ids.map((id) => write(id, { a: id }, true)),
        undefined,
      );
      const listed: string[] = [];
      for await (const keys of sink.keys(10)) {
        assert.ok(keys.length <= 10);
        listed.push(...keys.map(identityOf));
      }
      assert.deepEqual(listed.sort(), ids.map((id) => identityOf(keyOf(id))).sort());
    },
  },
  "one incarnation is dropped, and the next one is not": {
    needs: ["incarnations"],
    run: async (opened) => {
      const { sink } = opened;
      const { incarnations } = sink;
      assert.ok(incarnations !== undefined);
      const former = await incarnations.uuid();
      assert.ok(former !== undefined);
      await sink.write([write(1)], undefined);
      await incarnations.drop(remembered(former));
      assert.equal(await incarnations.uuid(), undefined);
      await sink.prepare();
      await sink.prepare();
      await sink.write([write(2)], undefined);
      await incarnations.drop(former);
      await expect(opened, [1, 2], docOf(2));
    },
  },
};

for (const [name, { needs, run }] of Object.entries(CASES))
  for (const [kind, open] of Object.entries(SINKS))
    test(`${kind}: ${name}`, async (t) => {
      await using opened = await open();
      const can = { ...opened.sink.can, unique: opened.unique };
      const lacks = needs.find((ability) => !can[ability]);
      if (lacks === undefined) await run(opened);
      else t.skip(`it has no ${lacks}`);
    });

const IDS = [0, 1, 2, 3];
const anyFields = fc.record({ a: fc.integer({ min: 0, max: 9 }) });
const anyBatch: fc.Arbitrary<readonly TargetOp[]> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...IDS), fc.constantFrom("write", "patch", "both", "delete"), anyFields), {
    selector: ([id]) => id,
  })
  .map((picked) =>
    picked.flatMap(([id, kind, fields]) => {
      if (kind === "delete") return [remove(id)];
      const whole = kind === "patch" ? [] : [write(id, fields)];
      return kind === "write" ? whole : [...whole, patch(id, { $set: { b: fields.a } })];
    }),
  );

test("random batches leave the same documents in every sink that takes changes", async () => {
  const every = await Promise.all(Object.values(SINKS).map((open) => open()));
  await using stack = new AsyncDisposableStack();
  for (const one of every) stack.use(one);
  const opened = every.filter(({ sink }) => sink.can.patches);
  for (const batch of fc.sample(anyBatch, { numRuns: 50, seed: 20261129 })) {
    for (const { sink } of opened) await sink.write(batch, undefined);
    const [first, ...others] = await Promise.all(opened.map(({ sink }) => contents(sink, IDS)));
    for (const other of others) assert.deepEqual(other, first);
  }
});

test("mongodb: the buckets of a time series are dropped by an incarnation that a former process noted", async () => {
  await using client = await new MongoClient((await sharedMongo()).uri).connect();
  const db = client.db("sinkcontract");
  const series = randomUUID();
  const create = () => db.createCollection(series, { timeseries: { timeField: "t" } });
  await create();
  const { incarnations } = new MongoSink(client, { db: db.databaseName, coll: `system.buckets.${series}` });
  const former = remembered(await incarnations.uuid());
  assert.ok(former !== undefined);
  await incarnations.drop(former);
  assert.equal(await incarnations.uuid(), undefined);
  await create();
  await incarnations.drop(former);
  assert.ok((await incarnations.uuid()) !== undefined, "the next incarnation stays");
});
