import assert from "node:assert/strict";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { CollectionSpec } from "#structure/model/model.ts";
import { Selection } from "#structure/model/selection.ts";

const USERS: CollectionSpec = { ns: parseNamespace("shop.users"), kind: "collection", options: {}, indexes: [] };

test("globs select, a name without a dot is a whole database, exclude wins", () => {
  const selection = new Selection({ routes: undefined, include: ["shop", "a?.users"], exclude: ["shop.tmp*"] });
  const selected = ["shop.users", "shop.tmp1", "ab.users", "abc.users"].filter(
    (ns) => selection.destinations(parseNamespace(ns)).length > 0,
  );
  assert.deepEqual(selected, ["shop.users", "ab.users"]);
  assert.throws(
    () => selection.requireFound([USERS]),
    (error) => isFerry(error, "FERRY_STRUCTURE_SELECTION"),
  );
  assert.throws(
    () => new Selection({ routes: undefined, include: [], exclude: [] }),
    (error) => isFerry(error, "FERRY_USAGE"),
  );
});
