import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { planBatch } from "#apply/plan/plan.ts";
import type { WriteEvent } from "#base/flow/types.ts";
import { CopiedRecord } from "#io/wire/captured.ts";
import { CopyRun } from "#io/wire/copyRun.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";

test("a copied document keeps its key through field rules, also beside one that a row filter leaves out", () => {
  const run = new CopyRun({ db: "test", coll: "users" }, 5n);
  const filter = new RouteFilter({ fields: { deny: ["ssn"] }, where: { age: { $lt: 80 } } });
  const records = [20, 90].map((age, _id) => new CopiedRecord(run, BSON.serialize({ _id, age, ssn: "s" }), 0));
  const entries = records.map((record) => ({
    record,
    event: filter.event(record.event) as WriteEvent,
    dead: undefined,
  }));
  assert.deepEqual(BSON.deserialize(entries[0]?.event.key ?? new Uint8Array()), { _id: 0 });
  const { counts, ops } = planBatch(entries, { writes: "insert", isHeld: () => false });
  assert.deepEqual([counts.applied, counts.filtered, ops.map((op) => op.op === "write" && op.fresh)], [1, 1, [true]]);
});
