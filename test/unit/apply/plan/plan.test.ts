import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Int32, Long } from "bson";
import fc from "fast-check";
import type { Entry } from "#apply/plan/entry.ts";
import { planBatch } from "#apply/plan/plan.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { ChangeEvent, TargetOp } from "#base/flow/types.ts";
import { statementsOf } from "#sink/mongo/statements.ts";

const ns = { db: "test", coll: "users" };

type Step =
  | Readonly<{ op: "insert" | "replace" | "copy"; id: number; long: boolean; n: number }>
  | Readonly<{ op: "patch"; id: number; long: boolean; n: number; clear: boolean }>
  | Readonly<{ op: "delete"; id: number; long: boolean }>
  | Readonly<{ op: "noop" | "ddl" | "poison" }>;

/** The same `_id` in two numeric types: one document to MongoDB. */
const idOf = ({ id, long }: Readonly<{ id: number; long: boolean }>): unknown =>
  long ? Long.fromNumber(id) : new Int32(id);

const eventOf = (step: Step): ChangeEvent | undefined => {
  const base = { ns, at: 7n, origin: "stream" } as const;
  switch (step.op) {
    case "insert":
    case "copy":
    case "replace": {
      const key = BSON.serialize({ _id: idOf(step) });
      const doc = BSON.serialize({ _id: idOf(step), n: step.n });
      const origin = step.op === "copy" ? "copy" : "stream";
      return { ...base, op: "write", key, doc, fresh: step.op !== "replace", origin };
    }
    case "patch": {
      const updatedFields = { [step.clear ? "p" : "$p"]: step.n };
      const update = BSON.serialize({ updatedFields, removedFields: [], truncatedArrays: [] });
      return { ...base, op: "patch", key: BSON.serialize({ _id: idOf(step) }), update };
    }
    case "delete":
      return { ...base, op: "delete", key: BSON.serialize({ _id: idOf(step) }) };
    case "noop":
      return { ...base, op: "noop", reason: "heartbeat" };
    case "ddl":
      return { ...base, op: "ddl", kind: "create", command: Buffer.alloc(0) };
    case "poison":
      return undefined;
  }
};

const entriesOf = (steps: readonly Step[]): Entry[] =>
  steps.map((step, offset) => ({
    record: { key: null, value: null, offset, timestampMs: offset },
    event: eventOf(step),
    dead: step.op === "poison" ? { code: "FERRY_APPLY_POISON", detail: "poison" } : undefined,
  }));

type Target = Map<string, Document>;
const idKey = (document: Document): string => identityOf(BSON.serialize({ _id: document["_id"] }));
const decode = (bytes: Uint8Array): Document => BSON.deserialize(bytes, { promoteValues: false });

/** What a server does with the statements. False where an insert meets its `_id`. */
const runOps = (planned: readonly TargetOp[], target: Target): boolean => {
  const ops = statementsOf(planned);
  for (const insert of ops.inserts.map(decode)) {
    if (target.has(idKey(insert))) return false;
    target.set(idKey(insert), insert);
  }
  for (const { q, u } of ops.updates.map(decode) as { q: Document; u: Document }[]) {
    const known = target.get(idKey(q));
    if (u["$set"] === undefined) target.set(idKey(q), u);
    else if (known !== undefined) target.set(idKey(q), { ...known, ...(u["$set"] as Document) });
  }
  for (const { q } of ops.deletes.map(decode) as { q: Document }[]) target.delete(idKey(q));
  return true;
};

/** One event after the other, without any batch. */
const runOne = (target: Target, entry: Entry): void => {
  const { event } = entry;
  if (event?.op === "write") target.set(identityOf(event.key), decode(event.doc));
  if (event?.op === "delete") target.delete(identityOf(event.key));
  if (event?.op === "patch") {
    const known = target.get(identityOf(event.key));
    if (known === undefined) return;
    target.set(identityOf(event.key), { ...known, ...(decode(event.update)["updatedFields"] as Document) });
  }
};

const plain = (target: Target): unknown =>
  [...target].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, document]) => [id, BSON.EJSON.stringify(document)]);

const id = fc.integer({ min: 0, max: 4 });
const keyed = { id, long: fc.boolean() };
const n = fc.integer({ min: 0, max: 99 });
const clearStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constantFrom("insert" as const, "replace" as const, "copy" as const), ...keyed, n }),
  fc.record({ op: fc.constant("patch" as const), ...keyed, n, clear: fc.constant(true) }),
  fc.record({ op: fc.constant("delete" as const), ...keyed }),
  fc.record({ op: fc.constantFrom("noop" as const, "ddl" as const, "poison" as const) }),
);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: clearStep },
  fc.record({ op: fc.constant("patch" as const), ...keyed, n, clear: fc.constant(false) }),
);
const steps = (step: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> => fc.array(step, { maxLength: 40 });
const none = (): boolean => false;

test("a batch leaves what its events one after the other leave", () => {
  fc.assert(
    fc.property(steps(clearStep), steps(clearStep), fc.boolean(), (before, batch, insertFirst) => {
      const start: Target = new Map();
      for (const entry of entriesOf(before)) runOne(start, entry);
      const wanted: Target = new Map(start);
      const entries = entriesOf(batch);
      for (const entry of entries) runOne(wanted, entry);
      let got: Target = new Map(start);
      if (!runOps(planBatch(entries, { writes: insertFirst ? "insert" : "replace", isHeld: none }).ops, got)) {
        got = new Map(start); // the transaction aborts, and the batch is replaced instead
        assert.ok(runOps(planBatch(entries, { writes: "replace", isHeld: none }).ops, got));
      }
      assert.deepEqual(plain(got), plain(wanted));
    }),
    { numRuns: 500 },
  );
});

/** Of events that are not set aside: those that a later whole document or delete of their key makes irrelevant. */
const supersededOf = (entries: readonly Entry[], dead: readonly Entry[]): number => {
  if (entries.every(({ event }) => event?.op === "write" && event.origin === "copy")) return 0; // a copy has each key once
  const keys = entries
    .filter((entry) => !dead.includes(entry))
    .flatMap(({ event }) =>
      event === undefined || event.op === "noop" || event.op === "ddl"
        ? []
        : [{ identity: identityOf(event.key), whole: event.op !== "patch" }],
    );
  const isOver = (one: (typeof keys)[number], i: number): boolean =>
    keys.slice(i + 1).some(({ identity, whole }) => whole && identity === one.identity);
  return keys.filter(isOver).length;
};

test("received = applied + superseded + filtered + dead, whatever the batch holds", () => {
  fc.assert(
    fc.property(steps(anyStep), fc.boolean(), fc.array(id), (batch, insertFirst, held) => {
      const identities = new Set(held.map((one) => identityOf(BSON.serialize({ _id: one }))));
      const entries = entriesOf(batch);
      const plan = planBatch(entries, {
        writes: insertFirst ? "insert" : "replace",
        isHeld: (key) => identities.has(identityOf(key)),
      });
      const { received, applied, superseded, filtered, dead } = plan.counts;
      assert.equal(received, batch.length);
      assert.equal(received, applied + superseded + filtered + dead);
      assert.ok(Math.min(applied, superseded, filtered, dead) >= 0);
      assert.equal(dead, plan.dead.length);
      assert.equal(
        filtered,
        Object.values(plan.filteredBy).reduce((total, n) => total + n, 0),
      );
      assert.equal(
        superseded,
        supersededOf(
          entries,
          plan.dead.map(({ entry }) => entry),
        ),
        "a later whole state of the same key",
      );
      assert.equal(filtered, batch.filter(({ op }) => op === "noop" || op === "ddl").length);
    }),
    { numRuns: 500 },
  );
});

test("the statements of one list never meet a key of another", () => {
  fc.assert(
    fc.property(steps(clearStep), fc.boolean(), (batch, insertFirst) => {
      const writes = insertFirst ? "insert" : "replace";
      const ops = statementsOf(planBatch(entriesOf(batch), { writes, isHeld: none }).ops);
      const inserts = new Set(ops.inserts.map((one) => identityOf(one)));
      const updates = new Set(ops.updates.map((one) => idKey(decode(one)["q"] as Document)));
      const deletes = new Set(ops.deletes.map((one) => idKey(decode(one)["q"] as Document)));
      // A copy sends each key once; these random copies may not.
      if (!batch.every(({ op }) => op === "copy")) assert.equal(inserts.size, ops.inserts.length);
      assert.equal(inserts.isDisjointFrom(updates) && updates.isDisjointFrom(deletes), true);
      assert.equal(inserts.isDisjointFrom(deletes), true);
    }),
  );
});

test("an unclear delta is set aside alone: what was before it is applied, what follows its key waits behind it", () => {
  const entries = entriesOf([
    { op: "insert", id: 1, long: false, n: 1 },
    { op: "patch", id: 1, long: false, n: 2, clear: true },
    { op: "patch", id: 1, long: false, n: 3, clear: false },
    { op: "patch", id: 1, long: false, n: 4, clear: true },
    { op: "insert", id: 2, long: false, n: 5 },
  ]);
  const plan = planBatch(entries, { writes: "insert", isHeld: none });
  assert.deepEqual(
    plan.dead.map(({ entry, reason }) => [entry.record.offset, reason.code]),
    [
      [2, "FERRY_APPLY_DELTA"],
      [3, "FERRY_APPLY_BEHIND"],
    ],
  );
  assert.equal(plan.counts.applied, 3);
});

test("a whole document after an unclear delta makes it irrelevant", () => {
  const entries = entriesOf([
    { op: "patch", id: 1, long: false, n: 3, clear: false },
    { op: "replace", id: 1, long: false, n: 4 },
  ]);
  const plan = planBatch(entries, { writes: "insert", isHeld: none });
  assert.deepEqual(plan.dead, []);
  assert.deepEqual(plan.counts, { received: 2, applied: 1, superseded: 1, filtered: 0, dead: 0 });
});

test("events of a held key follow it, in order", () => {
  const entries = entriesOf([
    { op: "delete", id: 1, long: true },
    { op: "insert", id: 2, long: false, n: 1 },
    { op: "insert", id: 1, long: false, n: 2 },
  ]);
  const held = identityOf(BSON.serialize({ _id: new Int32(1) }));
  const plan = planBatch(entries, { writes: "insert", isHeld: (key) => identityOf(key) === held });
  assert.deepEqual(
    plan.dead.map(({ entry, reason }) => [entry.record.offset, reason.code]),
    [
      [0, "FERRY_APPLY_BEHIND"],
      [2, "FERRY_APPLY_BEHIND"],
    ],
  );
});
