import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document } from "bson";
import fc from "fast-check";
import { differing, type IsSource, merge, remainder } from "#apply/conflict/merge.ts";

type Fields = Readonly<{ [name: string]: number | readonly number[] | Fields }>;

const NAMES = ["a", "b", "c"];
const leaf = fc.oneof(fc.nat(3), fc.array(fc.nat(2), { maxLength: 2 }));
/** Documents of few names, so that two of them have many in common. */
const { fields } = fc.letrec<{ fields: Fields }>((tie) => ({
  fields: fc.dictionary(
    fc.constantFrom(...NAMES),
    fc.oneof({ depthSize: "small" }, { weight: 3, arbitrary: leaf }, tie("fields")),
    { noNullPrototype: true },
  ),
}));
const document = fields.map((rest) => ({ _id: 1, ...rest }));

/** Paths that the source does not send; a path below one of them is none of the source's either. */
const ownPaths = fc.uniqueArray(
  fc.array(fc.constantFrom("_id", ...NAMES), { minLength: 1, maxLength: 3 }).map((names) => names.join(".")),
  { maxLength: 4 },
);
const sourceBut =
  (own: readonly string[]): IsSource =>
  (path) =>
    !own.some((one) => path === one || path.startsWith(`${one}.`));

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What the target keeps of fields that the source's document does not have. */
const kept = (target: Fields, prefix: string, isSource: IsSource): Fields =>
  Object.fromEntries(
    Object.entries(target).flatMap(([name, value]) => {
      const path = `${prefix}${name}`;
      if (path === "_id") return [];
      if (!isSource(path)) return [[name, value]];
      const inner = isObject(value) ? kept(value, `${path}.`, isSource) : {};
      return Object.keys(inner).length > 0 ? [[name, inner]] : [];
    }),
  );

const merged = (target: Fields, source: Fields, prefix: string, isSource: IsSource): Fields => ({
  ...Object.fromEntries(
    Object.entries(source).map(([name, value]) => {
      const theirs = target[name];
      return [name, isObject(value) && isObject(theirs) ? merged(theirs, value, `${prefix}${name}.`, isSource) : value];
    }),
  ),
  ...kept(Object.fromEntries(Object.entries(target).filter(([name]) => !(name in source))), prefix, isSource),
});

const bytesOf = (one: Document): Uint8Array => BSON.serialize(one);
/** As text, so that the order of fields counts. */
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && JSON.stringify(BSON.deserialize(bytes));

test("merged: the source's fields in its order, then the target's own", () => {
  fc.assert(
    fc.property(document, document, ownPaths, (target, source, own) => {
      const isSource = sourceBut(own);
      const bytes = merge(bytesOf(target), bytesOf(source), isSource);
      assert.equal(textOf(bytes), JSON.stringify(merged(target, source, "", isSource)));
      // The next event of the same document finds it merged already.
      assert.deepEqual(merge(bytes, bytesOf(source), isSource), bytes);
    }),
    { numRuns: 1000 },
  );
});

test("without fields of the target's own the source's bytes come out", () => {
  fc.assert(
    fc.property(document, document, (target, source) => {
      const bytes = bytesOf(source);
      assert.deepEqual(Buffer.from(merge(bytesOf(target), bytes, () => true)), Buffer.from(bytes));
    }),
  );
});

test("after a delete on the source the target keeps its own fields, or nothing", () => {
  fc.assert(
    fc.property(document, ownPaths, (target, own) => {
      const isSource = sourceBut(own);
      const left = kept(target, "", isSource);
      const wanted = Object.keys(left).length === 0 ? undefined : JSON.stringify({ _id: 1, ...left });
      assert.equal(textOf(remainder(bytesOf(target), isSource)), wanted);
    }),
    { numRuns: 1000 },
  );
});

test("two documents differ in the top-level fields whose values differ, or that one of them lacks", () => {
  fc.assert(
    fc.property(document, document, (one, other) => {
      const [a, b]: Fields[] = [one, other];
      const wanted = ["_id", ...NAMES].filter((name) => JSON.stringify(a?.[name]) !== JSON.stringify(b?.[name]));
      assert.deepEqual([...differing(bytesOf(one), bytesOf(other))].sort(), wanted.sort());
    }),
  );
});
