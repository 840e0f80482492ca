import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNames } from "#base/flow/namespaceFilter.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { Scope } from "#source/stream/scope.ts";

const scope = (include: readonly string[], exclude: readonly string[] = []): Scope =>
  new Scope(parseNames(include, exclude), "ferry");

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
  assert.deepEqual(scope(["shop.users", "nil*.*"]).absent(existing), ["nil*.*"]);
  assert.deepEqual(scope(["shop.*"]).absent(existing), []);
  assert.deepEqual(scope(["*.*"], ["shop"]).absent(existing), ["*.*"]);
});

test("a text that names nothing is refused: it would mean everything", () => {
  for (const given of ["", " ", ","]) {
    assert.throws(() => parseNames([given], []), { code: "FERRY_USAGE" });
    assert.throws(() => parseNames([], [given]), { code: "FERRY_USAGE" });
  }
  assert.deepEqual(parseNames(["a.b,"], []).include, ["a.b"]);
});

test("tells what is left out from what is not there, and which exclusions leave nothing out", () => {
  const existing = ["shop.users", "shop.secret"].map(parseNamespace);
  const of = scope(["shop.users"], ["shop.*", "shop.secert"]);
  assert.deepEqual(of.absent(existing), ["shop.users"]);
  assert.equal(of.leavesOut("shop.users", existing), true);
  assert.equal(of.leavesOut("shop.orders", existing), false);
  assert.deepEqual(of.idleExclusions(existing), ["shop.secert"]);
});

test("buckets are meant by the name of their time series, and no other system collection is", () => {
  const names = [
    "shop.system.buckets.weather",
    "shop.system.buckets.tides",
    "shop.system.views",
    "shop.system.buckets.",
  ];
  assert.deepEqual(carried(scope(["shop"]), names), names.slice(0, 2));
  assert.deepEqual(carried(scope(["shop.we*"]), names), names.slice(0, 1));
  assert.deepEqual(carried(scope(["*.*"], ["shop.weather"]), names), ["shop.system.buckets.tides"]);
  assert.deepEqual(carried(scope(["*.*"]), ["ferry.system.buckets.x", "admin.system.buckets.x"]), []);
  assert.deepEqual(scope(["shop.weather"]).absent(names.slice(0, 1).map(parseNamespace)), []);
});

test("the server is asked for buckets by both names, where its stream shows them", () => {
  const match = (buckets: boolean): string => JSON.stringify(scope(["shop.weather"], ["shop.t*"]).match(buckets));
  assert.doesNotMatch(match(false), /system/);
  assert.match(match(true), /"ns\.coll":\{"\$in":\["weather","system\.buckets\.weather"\]\}/);
  assert.match(match(true), /\^system\\\\\.buckets\\\\\.t\.\*\$/);
});

test("of one database the server is asked for names of collections alone, and only what is left out of it counts", () => {
  const match = (include: readonly string[], exclude: readonly string[]): string =>
    JSON.stringify(scope(include, exclude).match(false));
  assert.doesNotMatch(match(["shop.users", "shop.a*"], ["shop.abc"]), /\.db"/);
  assert.equal(match(["shop.users"], ["crm", "crm.users"]), match(["shop.users"], []));
  assert.notEqual(match(["shop.*"], ["sh*.users"]), match(["shop.*"], []));
  assert.match(match(["shop.users", "crm.users"], ["crm.x"]), /"ns\.db":"crm","ns\.coll":"x"/);
});
