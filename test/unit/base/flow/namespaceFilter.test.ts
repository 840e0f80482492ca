import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NamespaceFilter, NamespacePattern } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, parseNamespace } from "#base/flow/types.ts";
import { Scope } from "#source/stream/scope.ts";
import { Selection } from "#structure/model/selection.ts";

const matches = (pattern: string, name: string): boolean => new NamespacePattern(pattern).matches(parseNamespace(name));

test("the first dot divides database and collection, in patterns as in names", () => {
  assert.equal(matches("sh*.users", "shop.users"), true);
  assert.equal(matches("sh*.users", "shop.old.users"), false);
  assert.equal(matches("shop.*.users", "shop.old.users"), true);
  assert.equal(matches("shop.*", "shop.old.users"), true);
  assert.equal(matches("shop", "shop.old.users"), true);
  assert.equal(matches("sh?p", "shop.users"), true);
  assert.equal(matches("*", "shop.users"), true);
  assert.equal(matches("shop.users", "shop.users2"), false);
  assert.equal(matches("shop.u.ers", "shop.users"), false);
  assert.equal(matches("shop.line*", "shop.line\nfeed"), true);
  assert.equal(matches("shop.temps", "shop.system.buckets.temps"), true);
});

test("a pattern that names no database, or ends where its collection should begin, is refused", () => {
  for (const text of ["", " ", ".users", "shop."])
    assert.throws(() => new NamespacePattern(text), { code: "FERRY_USAGE" });
});

const part = fc.stringMatching(/^[ab]{1,2}$/);
const name = fc
  .tuple(part, fc.array(part, { minLength: 1, maxLength: 2 }))
  .map(([db, coll]) => `${db}.${coll.join(".")}`);
const pattern = fc.stringMatching(/^[ab*?]{1,3}(\.[ab*?.]{1,4})?$/);

test("what is copied and what is built are one: capture and structure read every pattern alike", () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      fc.array(pattern, { maxLength: 2 }),
      name,
      (include, exclude, text) => {
        const ns = parseNamespace(text);
        const expected = new NamespaceFilter({ include, exclude }).has(ns);
        assert.equal(new Scope({ include, exclude }, "ferry").has(ns), expected);
        assert.equal(new Selection({ routes: undefined, include, exclude }).includes(formatNamespace(ns)), expected);
      },
    ),
    { numRuns: 2000 },
  );
});
