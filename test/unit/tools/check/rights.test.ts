import assert from "node:assert/strict";
import { test } from "node:test";
import { aclsScript } from "#tools/check/kafkaAcls.ts";
import { rolesScript } from "#tools/check/mongoRoles.ts";

const resourcesOf = (include: readonly string[]): readonly string[] =>
  [
    ...aclsScript(["worker"], { include, group: "ferry", bootstrap: "broker:9092" }).matchAll(/--topic .*|--group .*/g),
  ].map(([text]) => text);

test("topics are allowed by name, or as far as a name is fixed", () => {
  for (const [include, resource] of [
    ["shop.users", "--topic 'shop.users' --resource-pattern-type literal"],
    ["shop.*", "--topic 'shop.' --resource-pattern-type prefixed"],
    ["shop", "--topic 'shop.' --resource-pattern-type prefixed"],
    ["shop.user?", "--topic 'shop.user' --resource-pattern-type prefixed"],
    ["sh*.users", "--topic 'sh' --resource-pattern-type prefixed"],
    ["*", "--topic '*' --resource-pattern-type literal"],
    // Kafka does not take the name: its topic is called otherwise.
    ["shop.my users", "--topic 'shop.' --resource-pattern-type prefixed"],
  ] as const)
    assert.deepEqual(resourcesOf([include]), [resource, "--group 'ferry'"], include);
  assert.equal(resourcesOf([]).length, 2);
  assert.equal(resourcesOf(["a.b", "c.*"]).length, 3);
});

test("roles name the databases of the run: one is watched alone, several with the whole cluster", () => {
  const one = rolesScript(["source"], { source: ["shop"], target: ["shop"], stateDb: "ferry" });
  assert.ok(one.includes('{ resource: { db: "shop", collection: "" }, actions: ["find","changeStream"] }'), one);
  const names = { source: ["shop", "crm"], target: ["a", "b"], stateDb: "memory" };
  const all = rolesScript([], names);
  assert.ok(all.includes('{ resource: { db: "", collection: "" }, actions: ["find","changeStream"] }'), all);
  for (const db of ["a", "b", "memory"]) assert.ok(all.includes(`{ resource: { db: "${db}", collection: "" }`), db);
  assert.equal(rolesScript(["target"], names).match(/createUser/g)?.length, 1);
});
