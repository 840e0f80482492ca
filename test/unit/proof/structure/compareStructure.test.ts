import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document } from "bson";
import { parseNamespace } from "#base/flow/types.ts";
import { compareStructure } from "#proof/structure/compareStructure.ts";
import type { CollectionSpec, IndexSpec } from "#structure/model/model.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import { indexOf as index, optionsOf } from "../../../harness/specs.ts";

const spec = (options: Document, indexes: readonly IndexSpec[] = [], kind: CollectionSpec["kind"] = "collection") => ({
  ns: parseNamespace("a.b"),
  kind,
  options: optionsOf(options),
  indexes,
});

const record = (name: string, more: Partial<StructureRecord>): StructureRecord => ({
  _id: { ns: "a.b", index: name },
  kind: name === "" ? "collection" : "index",
  from: "a.b",
  wanted: "{}",
  held: [],
  state: "built",
  updatedAt: new Date(0),
  ...more,
});

const told = (wanted: CollectionSpec, there: CollectionSpec | undefined, journal: StructureRecord[] = []): string[] =>
  compareStructure([{ from: "a.b", spec: wanted }], there === undefined ? [] : [there], journal).map(
    ({ index: name, kind, options, deferred }) =>
      [name || "itself", kind, options.join("+"), deferred ? "later" : "wrong"].filter((part) => part !== "").join(" "),
  );

test("only differences from the source are reported, by name", () => {
  const full = spec({ collation: { locale: "fr" }, validator: { a: 1 } }, [index("x", { x: 1 }, { sparse: true })]);
  assert.deepEqual(told(full, full), []);
  assert.deepEqual(told(full, undefined), ["itself missing wrong"]);
  assert.deepEqual(told(full, spec({ collation: { locale: "de" }, validator: { a: 1 } })), [
    "itself different collation wrong",
    "x missing wrong",
  ]);
  assert.deepEqual(told(full, { ...full, indexes: [index("x", { x: -1 })] }), ["x different key+sparse wrong"]);
  const view = spec({ viewOn: "c", pipeline: [] }, [], "view");
  assert.deepEqual(told(view, spec({})), ["itself different kind wrong"]);
  assert.deepEqual(told(view, spec({ viewOn: "d", pipeline: [] }, [], "view")), ["itself different viewOn wrong"]);
});

test("what ferry defers until finalize is deferred, and nothing else is", () => {
  const wanted = spec({ capped: true, size: 4096, validator: { a: 1 } }, [
    index("u", { u: 1 }, { unique: true }),
    index("t", { t: 1 }, { expireAfterSeconds: 5 }),
    index("away", { w: 1 }, { unique: true }),
  ]);
  const relaxed = spec({ validator: { a: 1 }, validationLevel: "off" }, [index("u", { u: 1 }), index("t", { t: 1 })]);
  const journal = [
    record("", { held: ["capped", "validator"] }),
    record("u", { held: ["unique"] }),
    record("t", { held: ["ttl"] }),
    record("away", { held: ["index"] }),
  ];
  assert.deepEqual(told(wanted, relaxed, journal), [
    "itself different capped+size+validationLevel later",
    "u different unique later",
    "t different expireAfterSeconds later",
    "away missing later",
  ]);
  const final = journal.map((one) => ({ ...one, held: [], state: "final" as const }));
  assert.ok(told(wanted, relaxed, final).every((line) => line.endsWith("wrong")));
  assert.deepEqual(told(wanted, { ...relaxed, options: optionsOf({ validationLevel: "off" }) }, journal).slice(0, 2), [
    "itself different capped+size+validationLevel later",
    "itself different validator wrong",
  ]);
});

test("an index that is the target's own is no difference; one that ferry built and the source has no more is", () => {
  const there = spec({}, [index("own", { o: 1 }), index("old", { p: 1 })]);
  assert.deepEqual(told(spec({}), there, [record("old", {})]), ["old extra wrong"]);
});
