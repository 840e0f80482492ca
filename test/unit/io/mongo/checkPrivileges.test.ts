import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketSourceNeeds, noteWishes, sourceNeeds } from "#io/mongo/needs.ts";
import { missingPrivileges, roleScript } from "#io/mongo/privileges.ts";

const needs = bucketSourceNeeds({ db: "shop", coll: "system.buckets.weather" });

const isCovered = (resource: object): boolean =>
  missingPrivileges(needs, [{ resource, actions: ["find"] }]).length === 0;

test("buckets are covered by a resource of their own, by their name, and not by the database's collections", () => {
  for (const resource of [
    { system_buckets: "" },
    { db: "shop", system_buckets: "" },
    { db: "", system_buckets: "weather" },
    { db: "shop", system_buckets: "weather" },
    { db: "shop", collection: "system.buckets.weather" },
    { anyResource: true },
  ])
    assert.ok(isCovered(resource), JSON.stringify(resource));
  for (const resource of [
    { db: "shop", collection: "" },
    { db: "", collection: "" },
    { db: "crm", system_buckets: "" },
    { db: "shop", system_buckets: "tides" },
  ])
    assert.ok(!isCovered(resource), JSON.stringify(resource));
  const plain = [{ db: "shop", collection: "", actions: ["find"], why: "" }];
  assert.equal(missingPrivileges(plain, [{ resource: { system_buckets: "" }, actions: ["find"] }]).length, 1);
});

test("what is asked of the cluster is covered by the cluster alone, and covers nothing else", () => {
  const actions = ["appendOplogNote", "find", "changeStream", "listCollections", "listIndexes"];
  const isEnough = (asked: typeof noteWishes, resource: object): boolean =>
    missingPrivileges(asked, [{ resource, actions }]).length === 0;
  assert.ok(isEnough(noteWishes, { cluster: true }));
  assert.ok(!isEnough(noteWishes, { db: "", collection: "" }));
  assert.ok(!isEnough(sourceNeeds("shop"), { cluster: true }));
});

test("a role names them as the server wants it", () => {
  const script = roleScript("r", [...needs, ...bucketSourceNeeds({ db: "shop", coll: "system.buckets." })]);
  for (const series of ["weather", ""])
    assert.ok(script.includes(`{ db: "shop", system_buckets: "${series}" }`), script);
});
