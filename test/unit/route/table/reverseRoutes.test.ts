import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#base/config/configFile.ts";
import { obstacleBack, obstaclesBack, routeBack, routesBack, targetsOf } from "#route/table/reverseRoutes.ts";

const routesOf = (yaml: string) => parseConfig(`routes:\n${yaml}`, "ferry.yaml").routes ?? [];

test("a route that carries everything is mirrored back, and one that leaves fields out is merged", () => {
  const [plain, some] = routesOf(`
  - { from: shop.users, to: { mongodb: crm.people }, drift: { newField: stop } }
  - { from: shop.orders, fields: { allow: [total, customer.name], rename: { customer.name: buyer } } }
`);
  assert.ok(plain !== undefined && some !== undefined);
  const drift = { newField: "pass", typeChange: "pass", depth: 8 };
  assert.deepEqual(routeBack(plain), {
    ...{ name: "crm.people>shop.users", from: "crm.people", to: { mongodb: "shop.users" }, drift, conflict: "mirror" },
  });
  assert.deepEqual(routeBack(some), {
    ...{ name: "shop.orders", from: "shop.orders", to: { mongodb: "shop.orders" }, drift, conflict: "merge" },
    fields: { allow: ["total", "customer.buyer"], rename: { "customer.buyer": "name" } },
  });
});

test("row filters and masks have no way back, and say why", () => {
  const [rows, masked, free] = routesOf(`
  - { from: a.b, where: { country: DE } }
  - { from: a.c, fields: { mask: { ssn: { keepLast: 2 } } } }
  - { from: a.d, fields: { deny: [ssn] } }
`);
  assert.ok(rows !== undefined && masked !== undefined && free !== undefined);
  assert.match(obstacleBack(rows) ?? "", /^a\.b: `where` keeps documents on the source/);
  assert.match(obstacleBack(masked) ?? "", /^a\.c: ssn is masked/);
  assert.equal(obstacleBack(free), undefined);
  const back = routesBack([rows, masked, free]) ?? [];
  assert.deepEqual(
    back.map(({ from }) => from),
    ["a.d"],
    "what can go back goes back",
  );
});

test("a pool beside a collection is no obstacle, a pool alone is", () => {
  const pool = (id: string) =>
    `cognito: { region: eu-central-1, userPoolId: eu-central-1_${id}, username: email, attributes: { email: email } }`;
  const [collection, beside, alone] = routesOf(`
  - { from: a.b }
  - { from: a.b, name: pool, to: { ${pool("a")} } }
  - { from: a.c, name: lone, to: { ${pool("b")} } }
`);
  assert.ok(collection !== undefined && beside !== undefined && alone !== undefined);
  assert.deepEqual(obstaclesBack([collection, beside]), []);
  assert.match(
    obstaclesBack([collection, beside, alone]).join("; "),
    /^lone: .* is no collection that services write to$/,
  );
});

test("what was switched over by the source's name is looked for under the target's", () => {
  const routes = routesOf(`
  - { from: shop.users, to: { mongodb: crm.people } }
  - { from: shop.orders }
`);
  assert.deepEqual(targetsOf(routes, "shop.users"), ["crm.people"]);
  assert.deepEqual(targetsOf(routes, "shop.orders"), ["shop.orders"]);
  assert.deepEqual(targetsOf(routes, "shop.carts"), []);
  assert.deepEqual(targetsOf(undefined, "shop.carts"), ["shop.carts"]);
});
