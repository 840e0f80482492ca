import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Int32, Long } from "bson";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { expectationOf } from "#proof/verify/expectation.ts";
import { isRight } from "#proof/verify/pairedRange.ts";
import type { DriftDecision, DriftLedger, DriftRecord } from "#route/drift/ledger.ts";

type Seen = readonly (readonly [path: string, type: string, outcome?: DriftRecord["outcome"]])[];
type Decided = readonly (readonly [path: string, verdict: DriftDecision["verdict"]])[];

/** A ledger that has met these, and what an operator decided. */
const ledgerOf = (seen: Seen, decided: Decided = []): DriftLedger =>
  ({
    read: async () => seen.map(([path, type, outcome = "pass"]) => ({ path, type, kind: "field", outcome })),
    decisions: async () => decided.map(([path, verdict]) => ({ path, type: null, verdict })),
  }) as unknown as DriftLedger;

const judge = async (
  route: Route,
  ledger: DriftLedger,
): Promise<(source: Document | undefined, target: Document | undefined) => boolean> => {
  const { expect, onto } = await expectationOf(route, route.conflict, ledger);
  return (source, target) => {
    const document = source === undefined ? undefined : BSON.serialize(source);
    const expected = document === undefined || expect === undefined ? document : expect(document);
    return isRight(onto, expected, target === undefined ? undefined : BSON.serialize(target));
  };
};

const plain = plainRoute("a.b");

test("a route without rules carries documents as they are", async () => {
  const { expect, onto } = await expectationOf(plain, "mirror", ledgerOf([["name", "string"]]));
  assert.deepEqual([expect, onto], [undefined, undefined]);
});

test("merge compares the source's fields alone, wherever the target's own stand", async () => {
  const rules = { conflict: "merge", fields: { rename: { name: "fullname" } } } as const;
  const is = await judge(
    { ...plain, ...rules },
    ledgerOf([
      ["_id", "int"],
      ["name", "string"],
      ["address", "object"],
      ["address.zip", "string"],
    ]),
  );
  const source = { _id: 1, name: "x", address: { zip: "z" } };
  assert.ok(is(source, { _id: 1, fullname: "x", address: { zip: "z" } }));
  assert.ok(is(source, { _id: 1, fullname: "x", address: { zip: "z", note: "own" }, loyalty: "own" }));
  assert.ok(is(source, { _id: 1, loyalty: "own", address: { note: "own", zip: "z" }, fullname: "x" }), "in any order");
  assert.ok(!is(source, { _id: 1, fullname: "y", address: { zip: "z" }, loyalty: "own" }));
  assert.ok(!is(source, { _id: 1, address: { zip: "z" }, loyalty: "own" }));
  assert.ok(!is({ _id: 1 }, { _id: 1, fullname: "left behind", loyalty: "own" }), "the source's in every document");
  assert.ok(is(undefined, { _id: 2, loyalty: "own" }), "what the source deleted may leave the target's own");
  assert.ok(!is(undefined, { _id: 2, fullname: "x" }));
  assert.ok(!is(source, undefined));
});

test("what the drift policy left out is not expected, and only in the type that it was left out in", async () => {
  const drift = { newField: "drop-and-report", typeChange: "drop-and-report", depth: 8 } as const;
  const is = await judge(
    { ...plain, drift },
    ledgerOf([
      ["_id", "int"],
      ["n", "int"],
      ["n", "long", "drop"],
      ["news", "string", "drop"],
    ]),
  );
  assert.ok(is({ _id: 1, n: new Int32(1) }, { _id: 1, n: new Int32(1) }));
  assert.ok(is({ _id: 1, n: new Int32(1), news: "x" }, { _id: 1, n: new Int32(1) }));
  assert.ok(!is({ _id: 1, n: new Int32(1), news: "x" }, { _id: 1, n: new Int32(1), news: "x" }), "leaked");
  assert.ok(is({ _id: 1, n: Long.fromNumber(1) }, { _id: 1 }));
});

test("documents from before and after a decision are both right", async () => {
  const is = await judge(
    plain,
    ledgerOf(
      [
        ["_id", "int"],
        ["news", "string"],
      ],
      [["news", "drop"]],
    ),
  );
  for (const target of [
    { _id: 1, name: "x" },
    { _id: 1, name: "x", news: "y" },
  ])
    assert.ok(is({ _id: 1, name: "x", news: "y" }, target));
  assert.ok(!is({ _id: 1, name: "x", news: "y" }, { _id: 1, name: "z", news: "y" }));
});
