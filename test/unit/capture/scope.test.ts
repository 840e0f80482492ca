import assert from "node:assert/strict";
import { test } from "node:test";
import { parseScope, Scope } from "#capture/scope.ts";
import { parseNamespace } from "#flow/types.ts";

const scope = (include: readonly string[], exclude: readonly string[] = []): Scope =>
  new Scope(parseScope(include, exclude), "ferry");

const carried = (of: Scope, names: readonly string[]): readonly string[] =>
  names.filter((name) => of.has(parseNamespace(name)));

test("names, globs, whole databases and what is left out", () => {
  const names = ["shop.users", "shop.a.b", "shop2.users", "crm.users", "crm.x"];
  assert.deepEqual(carried(scope(["shop.*"]), names), ["shop.users", "shop.a.b"]);
  assert.deepEqual(carried(scope(["shop"]), names), ["shop.users", "shop.a.b"]);
  assert.deepEqual(carried(scope(["shop?.users", "crm.x"]), names), ["shop2.users", "crm.x"]);
  assert.deepEqual(carried(scope(["*.*"], ["*.users,crm"]), names), ["shop.a.b"]);
});

test("the server's own, system collections and ferry's state are never carried", () => {
  assert.deepEqual(carried(scope(["*.*"]), ["admin.x", "local.x", "config.x", "ferry.lanes", "shop.system.views"]), []);
});

test("one database is watched alone, several as a cluster", () => {
  assert.deepEqual(scope(["shop.a", "shop.b*"]).watch, { level: "database", db: "shop", coll: "" });
  assert.equal(scope(["shop.a", "crm.b"]).watch.level, "cluster");
  assert.equal(scope(["sh*.a"]).watch.level, "cluster");
});

test("names what meets nothing, as it was written", () => {
  const existing = ["shop.users"].map(parseNamespace);
  assert.equal(scope(["shop.users", "nil*.*"]).missing(existing), "nil*.*");
  assert.equal(scope(["shop.*"]).missing(existing), undefined);
  assert.equal(scope(["*.*"], ["shop"]).missing(existing), "*.*");
});
