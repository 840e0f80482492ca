import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#base/config/configFile.ts";
import { routeNamed, routesOn } from "#route/table/routesOn.ts";

const BUCKETS = "shop.system.buckets.weather";

test("without routes every topic goes to the namespace of its name, buckets without a drift ledger", () => {
  const [plain] = routesOn(undefined, "shop.users");
  const [buckets] = routesOn(undefined, BUCKETS);
  assert.deepEqual([plain?.to, plain?.drift.depth], [{ mongodb: "shop.users" }, 8]);
  assert.deepEqual([buckets?.name, buckets?.to, buckets?.drift.depth], [BUCKETS, { mongodb: BUCKETS }, 0]);
  assert.deepEqual(routeNamed(undefined, BUCKETS), buckets);
});

test("buckets follow the routes of their time series, but none that has rules", () => {
  const { routes } = parseConfig(
    `routes:
      - { from: shop.weather, to: { mongodb: crm.climate }, name: w, conflict: mirror }
      - { from: shop.weather }
      - { from: shop.weather, to: { mongodb: crm.part }, where: { temp: 1 } }`,
    "ferry.yaml",
  );
  const found = routesOn(routes, BUCKETS).map(({ name, from, to, conflict }) => ({ name, from, to, conflict }));
  const to = "crm.system.buckets.climate";
  assert.deepEqual(found, [
    { name: `${BUCKETS}>${to}`, from: BUCKETS, to: { mongodb: to }, conflict: "mirror" },
    { name: BUCKETS, from: BUCKETS, to: { mongodb: BUCKETS }, conflict: undefined },
  ]);
  assert.deepEqual(routeNamed(routes, `${BUCKETS}>${to}`)?.to, { mongodb: to });
  assert.deepEqual(routeNamed(routes, "w")?.to, { mongodb: "crm.climate" });
  assert.deepEqual(routesOn(routes, "shop.system.buckets.users"), []);
});
