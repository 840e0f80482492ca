import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document } from "bson";
import { RawValue, rawDocument } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { CollectionSpec } from "#structure/model/model.ts";
import { type FieldMap, Selection } from "#structure/model/selection.ts";
import { fitIndex } from "#structure/plan/fields.ts";
import { renameIn } from "#structure/plan/views.ts";
import { wantedStructure } from "#structure/plan/wanted.ts";
import { documentOfParts, int32, LATIN1, string } from "../../../harness/oddBytes.ts";
import { indexOf as index, optionsOf, plain } from "../../../harness/specs.ts";

const spec = (ns: string, rest: Partial<CollectionSpec> = {}): CollectionSpec => ({
  ns: parseNamespace(ns),
  kind: "collection",
  options: {},
  indexes: [],
  ...rest,
});

const view = (ns: string, viewOn: string, pipeline: Document[] = []): CollectionSpec =>
  spec(ns, { kind: "view", options: optionsOf({ viewOn, pipeline }) });

/** Only mail and name pass; mail becomes email, name is masked so that values may become alike. */
const FIELDS: FieldMap = {
  path: (path) => ({ _id: "_id", mail: "email", name: "name", "name.first": "name.first" })[path],
  masked: (path) => (path.startsWith("name") ? "alike" : undefined),
};

test("routes rename collections, their views, and what these read", () => {
  const routes = [
    { from: "shop.users", to: "crm.people", fields: undefined },
    { from: "shop.orders", to: "crm.orders", fields: undefined },
  ];
  const selection = new Selection({ routes, include: [], exclude: [] });
  const lookup = { $lookup: { from: "orders", as: "o", pipeline: [{ $unionWith: "users" }] } };
  const source = [
    spec("shop.users"),
    spec("shop.orders"),
    spec("shop.other"),
    view("shop.top", "adults", [{ $unionWith: { coll: "other" } }]),
    view("shop.adults", "users", [lookup, { $facet: { x: [{ $graphLookup: { from: "users" } }] } }]),
    view("shop.others", "other"),
  ];
  const { wanted, findings } = wantedStructure(source, selection);
  const names = wanted.map(({ from, spec: { ns } }) => `${from} > ${ns.db}.${ns.coll}`);
  assert.deepEqual(names, [
    "shop.users > crm.people",
    "shop.orders > crm.orders",
    "shop.top > crm.top",
    "shop.adults > crm.adults",
  ]);
  assert.deepEqual(plain(wanted[3]?.spec.options), {
    viewOn: "people",
    pipeline: [
      { $lookup: { from: "orders", as: "o", pipeline: [{ $unionWith: "people" }] } },
      { $facet: { x: [{ $graphLookup: { from: "people" } }] } },
    ],
  });
  assert.deepEqual(
    findings.map(({ level, ns, reason }) => `${level} ${ns}: ${reason}`),
    ["note crm.top: reads other, not carried"],
  );
});

test("field rules: indexes speak of the target's paths, or stay out with the reason", () => {
  const selection = new Selection({ routes: [{ from: "a.b", to: "a.b", fields: FIELDS }], include: [], exclude: [] });
  const indexes = [
    index("mail", { mail: 1 }, { unique: true, partialFilterExpression: { $and: [{ mail: { $gt: "" } }] } }),
    index("secret", { mail: 1, secret: 1 }),
    index("partial", { mail: 1 }, { partialFilterExpression: { secret: true } }),
    index("name", { name: 1 }, { unique: true }),
    index("geo", { name: "2dsphere" }),
    index("text", { _fts: "text", _ftsx: 1 }, { weights: { mail: 2 } }),
    index("all", { "$**": 1 }, { wildcardProjection: { mail: 1 } }),
  ];
  const options = optionsOf({
    validator: { secret: { $exists: true } },
    validationAction: "error",
    collation: { locale: "de" },
  });
  const { wanted, findings } = wantedStructure([spec("a.b", { options, indexes })], selection);
  assert.deepEqual(plain(wanted[0]?.spec.options), { collation: { locale: "de" } });
  const fitted = [
    index("mail", { email: 1 }, { unique: true, partialFilterExpression: { $and: [{ email: { $gt: "" } }] } }),
    index("name", { name: 1 }),
    index("text", { _fts: "text", _ftsx: 1 }, { weights: { email: 2 } }),
    index("all", { "$**": 1 }, { wildcardProjection: { email: 1 } }),
  ];
  assert.deepEqual(plain(wanted[0]?.spec.indexes), plain(fitted));
  assert.deepEqual(
    findings.map(({ level, index: name = "-", reason }) => `${level} ${name}: ${reason}`),
    [
      "left-out -: validator: the route changes documents, and the source's validator speaks of unchanged ones",
      "left-out secret: the route's field rules leave secret out",
      "left-out partial: the route's field rules leave secret out",
      "note name: stays non-unique: masked values of name may be alike",
      "left-out geo: it needs the values of name, which the route masks",
    ],
  );
});

test("a time series goes where its route says, unless rules would have to be kept within its buckets", () => {
  const weather = spec("shop.weather", { kind: "timeseries", options: optionsOf({ timeseries: { timeField: "t" } }) });
  const found = (rules: Readonly<{ fields?: FieldMap; chosen?: boolean }>): string[] => {
    const route = { from: "shop.weather", to: "crm.climate", fields: undefined, ...rules };
    const { wanted, findings } = wantedStructure(
      [weather],
      new Selection({ routes: [route], include: [], exclude: [] }),
    );
    return [...wanted.map(({ spec }) => `${spec.ns.db}.${spec.ns.coll}`), ...findings.map(({ level }) => level)];
  };
  assert.deepEqual(found({}), ["crm.climate", "note"]);
  assert.deepEqual(found({ fields: FIELDS }), ["refused"]);
  assert.deepEqual(found({ chosen: true }), ["refused"]);
});

test("a row filter that compares text is refused on a collection whose collation compares otherwise", () => {
  const found = (byText: boolean, options: Document): string[] => {
    const route = { from: "shop.people", to: "crm.people", fields: undefined, chosen: true, byText };
    const selection = new Selection({ routes: [route], include: [], exclude: [] });
    return wantedStructure([spec("shop.people", { options })], selection).findings.map(({ level }) => level);
  };
  const collation = { locale: "en", strength: 2 };
  assert.deepEqual(found(true, { collation }), ["refused"]);
  assert.deepEqual(found(false, { collation }), []);
  assert.deepEqual(found(true, {}), []);
});

test("names that look like numbers keep their order, and other bytes stay, where a route renames or suits paths", () => {
  const odd = documentOfParts([BsonType.int32, "b", int32(1)], [BsonType.string, "1", string(LATIN1)]);
  const stage = documentOfParts(
    [
      BsonType.object,
      "$lookup",
      documentOfParts([BsonType.string, "from", string("a")], [BsonType.object, "let", odd]),
    ],
    [BsonType.object, "0", odd],
  );
  const pipeline = new RawValue(BsonType.array, documentOfParts([BsonType.object, "0", stage]));
  const renamed = renameIn(
    renameIn(pipeline, () => "longer"),
    () => "a",
  );
  assert.deepEqual(Buffer.from(renamed.bytes), Buffer.from(pipeline.bytes));

  const fields: FieldMap = { path: (path) => (path === "b" ? "z" : path), masked: () => undefined };
  const filter = rawDocument(odd);
  const fitted = fitIndex({ name: "i", key: rawDocument(odd), options: { partialFilterExpression: filter } }, fields);
  const wanted = documentOfParts([BsonType.int32, "z", int32(1)], [BsonType.string, "1", string(LATIN1)]);
  assert.ok("index" in fitted);
  assert.deepEqual(Buffer.from(fitted.index.key.bytes), wanted);
  assert.deepEqual(Buffer.from(fitted.index.options["partialFilterExpression"]?.bytes ?? []), wanted);
});
