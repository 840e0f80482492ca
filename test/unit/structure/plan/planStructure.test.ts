import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, type Document } from "bson";
import { parseNamespace } from "#base/flow/types.ts";
import { stepText } from "#structure/build/build.ts";
import { type CollectionSpec, type IndexSpec, specText } from "#structure/model/model.ts";
import { optionsDocument } from "#structure/model/options.ts";
import { serverAbilitiesOf } from "#structure/model/relax.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import { type PlanInput, planStructure } from "#structure/plan/planStructure.ts";
import { indexOf as index, optionsOf, plain } from "../../../harness/specs.ts";

const spec = (
  options: Document,
  indexes: readonly IndexSpec[] = [],
  kind: CollectionSpec["kind"] = "collection",
): CollectionSpec => ({
  ns: parseNamespace("a.b"),
  kind,
  options: optionsOf(options),
  indexes,
});

const record = (name: string, wanted: Document, more: Partial<StructureRecord> = {}): StructureRecord => ({
  _id: { ns: "a.b", index: name },
  kind: name === "" ? "collection" : "index",
  from: "a.b",
  wanted: specText(optionsOf(wanted)),
  exact: new Binary(optionsDocument(optionsOf(wanted))),
  held: [],
  state: "built",
  updatedAt: new Date(0),
  ...more,
});

const plan = (wanted: CollectionSpec, more: Partial<PlanInput> = {}): string[] => {
  const { steps, findings } = planStructure({
    wanted: [{ from: "a.b", spec: wanted }],
    target: [],
    journal: [],
    abilities: serverAbilitiesOf("6.0.5"),
    replace: false,
    empty: new Set(),
    stateDb: "ferry",
    ...more,
  });
  return [...steps.map(stepText), ...findings.map(({ level, reason }) => `${level}: ${reason}`)];
};

test("what could reject or delete documents is deferred", () => {
  assert.deepEqual(
    plan(
      spec({ capped: true, size: 10, validator: { a: 1 }, validationAction: "warn" }, [
        index("t", { t: 1 }, { expireAfterSeconds: 5 }),
      ]),
    ),
    [
      "creates the collection (until finalize without capped, validator)",
      "creates index t { t: 1 } (until finalize without ttl)",
    ],
  );
});

test("a unique and a plain index on one key would be the same one: the unique one waits", () => {
  const indexes = [
    index("u", { a: 1 }, { unique: true }),
    index("p", { a: 1 }),
    index("s", { a: 1 }, { unique: true, sparse: true }),
  ];
  assert.deepEqual(plan(spec({}, indexes)), [
    "creates the collection",
    "notes index u (until finalize without index)",
    "creates index p { a: 1 }",
    "creates index s { a: 1 } (until finalize without unique)",
  ]);
});

test("an older target builds unique indexes at the end, keeps the longest TTL, and the plan names what it lacks", () => {
  const indexes = [index("u", { a: 1 }, { unique: true }), index("t", { t: 1 }, { expireAfterSeconds: 5 })];
  const abilities = serverAbilitiesOf("5.0.12");
  const { steps } = planStructure({
    wanted: [{ from: "a.b", spec: spec({}, indexes) }],
    target: [],
    journal: [],
    abilities,
    replace: false,
    empty: new Set(),
    stateDb: "ferry",
  });
  assert.equal(steps[1]?.do, "remember");
  assert.deepEqual(steps[2]?.do === "index" ? plain(steps[2].index.options) : {}, { expireAfterSeconds: 2147483647 });
  assert.deepEqual(plan(spec({ clusteredIndex: { key: { _id: 1 } } }), { abilities }), [
    "refused: MongoDB 5.0.12 has no clustered collections: they came with 5.3",
  ]);
});

test("a collection that is there: adopted where it is plain, kept where it is the same, refused where it is another", () => {
  const validator = { validator: { a: 1 } };
  assert.deepEqual(plan(spec(validator), { target: [spec({})] }), [
    "changes validator, validationLevel (until finalize without validator)",
  ]);
  assert.deepEqual(plan(spec(validator), { target: [spec(validator)] }), ["notes the collection"]);
  assert.deepEqual(plan(spec(validator), { target: [spec({ validator: { b: 1 } })] }), [
    "refused: the target has this collection with another validator",
  ]);
  assert.deepEqual(plan(spec({}), { target: [spec({ capped: true, size: 5 })] }), [
    "refused: the target has this collection with another capped, size",
  ]);
  assert.deepEqual(plan(spec({}), { target: [spec({ viewOn: "x", pipeline: [] }, [], "view")] }), [
    "refused: the target has a view of this name, the source a collection",
  ]);
  assert.deepEqual(plan(spec({ a: 1 }), { target: [spec({ viewOn: "x" }, [], "view")], replace: true }), [
    "drops the view",
    "creates the collection",
  ]);
});

test("what ferry built follows the source; what it did not build is left alone", () => {
  const target = [
    spec({}, [index("gone", { a: 1 }), index("theirs", { b: 1 }), index("other", { c: 1 }), index("hid", { d: 1 })]),
  ];
  const journal = [record("", {}), record("gone", {}), record("other", {}), record("hid", {}), record("never", {})];
  const wanted = spec({}, [
    index("other", { c: -1 }),
    index("hid", { d: 1 }, { hidden: true }),
    index("new", { a: 1 }),
  ]);
  assert.deepEqual(plan(wanted, { target, journal }), [
    "drops index gone",
    "forgets index never",
    "drops index other",
    "creates index other { c: -1 }",
    "changes index hid",
    "creates index new { a: 1 }",
  ]);
});

test("a plan that was carried out leaves nothing to do", () => {
  const unique = index("u", { a: 1 }, { unique: true });
  const target = [spec({ validator: { a: 1 }, validationLevel: "off" }, [index("u", { a: 1 })])];
  const journal = [
    record("", { validator: { a: 1 } }, { held: ["validator"] }),
    record("u", { key: unique.key, unique: true }, { held: ["unique"] }),
  ];
  assert.deepEqual(plan(spec({ validator: { a: 1 } }, [unique]), { target, journal }), []);
});

test("a time series that has measurements is left to the drop of its buckets; a coarser granularity is followed", () => {
  const grain = (granularity: string, bucketMaxSpanSeconds: number): Document => ({
    timeseries: { timeField: "t", granularity, bucketMaxSpanSeconds },
  });
  const series = (granularity: string, bucketMaxSpanSeconds: number): CollectionSpec =>
    spec(grain(granularity, bucketMaxSpanSeconds), [], "timeseries");
  const there = series("minutes", 86_400);
  const journal = [record("", grain("minutes", 86_400), { kind: "timeseries" })];
  assert.deepEqual(plan(series("hours", 2_592_000), { target: [there], journal }), ["changes timeseries"]);
  const other = spec({ timeseries: { timeField: "u", granularity: "minutes" } }, [], "timeseries");
  assert.match(plan(other, { target: [there], journal }).join(), /^refused: .* another timeseries/);

  const gone = { wanted: [], target: [there], journal };
  assert.deepEqual(plan(spec({}), gone), []);
  assert.deepEqual(plan(spec({}), { ...gone, empty: new Set(["a.b"]) }), ["drops the collection"]);
  // A collection has taken its name.
  assert.match(plan(spec({}), { target: [there], journal }).join(), /^refused: .*a timeseries of this name/);
  const emptied = { target: [there], journal, empty: new Set(["a.b"]) };
  assert.deepEqual(plan(spec({}), emptied), ["drops the collection", "creates the collection"]);
});

test("an index that made way for a document stays away until it is tried again", () => {
  const sphere = index("place", { loc: "2dsphere" });
  const wanted = spec({}, [sphere]);
  const journal = [
    record("", {}),
    record("place", { key: sphere.key, ...sphere.options }, { held: ["index"], state: "built" }),
  ];
  assert.deepEqual(plan(wanted, { target: [spec({})], journal }), []);
  const built = ['creates index place { loc: "2dsphere" }'];
  assert.deepEqual(plan(wanted, { target: [spec({})], journal, again: true }), built);
  assert.deepEqual(plan(wanted, { target: [], journal }).slice(1), built); // created again: none of its documents is there
  const failed = journal.map((one) => (one.kind === "index" ? { ...one, state: "failed" as const } : one));
  assert.deepEqual(plan(wanted, { target: [spec({})], journal: failed }), built);
});

test("an index of ferry's own that the target is still building goes with the source's", () => {
  const journal = [record("", {}), record("old", { key: [["a", 1]] })];
  const there = { ...spec({}), building: ["old"] };
  assert.deepEqual(plan(spec({}), { target: [there], journal }), ["drops index old"]);
});
