import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveCarrying } from "#base/config/carrying.ts";
import { plainRoute, type Route } from "#base/config/routes.ts";

const toCollection = plainRoute("test.users");
const toPool: Route = {
  ...toCollection,
  name: "pool",
  to: { cognito: { userPoolId: "eu-west-1_a", username: "_id", attributes: { email: "email" } } },
};
const source = "mongodb://source";

const resolved = (flags: Parameters<typeof resolveCarrying>[0], routes: readonly Route[] | undefined) => {
  const { target, state } = resolveCarrying({ source, ...flags }, routes, ["source"]);
  return { target, state };
};

test("a target is needed where a route goes to a collection, and without configured routes", () => {
  for (const routes of [undefined, [toCollection], [toPool, toCollection]]) {
    assert.throws(
      () => resolved({ state: "mongodb://state" }, routes),
      /FERRY_USAGE: target is not set; give --target/,
    );
    assert.equal(resolved({ target: "mongodb://target" }, routes).target, "mongodb://target");
  }
});

test("where no route goes to a collection, ferry's own database needs a place, which may be on a target", () => {
  assert.deepEqual(resolved({ state: source }, [toPool]), { target: undefined, state: source });
  assert.equal(resolved({ target: "mongodb://target" }, [toPool]).target, "mongodb://target");
  assert.throws(
    () => resolved({}, [toPool]),
    /FERRY_USAGE: state is not set, .*no route goes to MongoDB, so give --state/,
  );
});
