import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { BEST_SITE } from "#io/state/targetSite.ts";
import { type AskedOfTargets, misfitsOf } from "#sink/open/demands.ts";
import { requireFits } from "#sink/open/fits.ts";
import { abilitiesOf } from "#sink/open/openSink.ts";
import type { Abilities } from "#sink/sink.ts";
import { anyAbilities, anyAsked, anyRoute, neededBy } from "../../../harness/demands.ts";

const ALL = abilitiesOf({ mongodb: "a.b" });
const USERS = plainRoute("shop.users");
const owned = (conflict: NonNullable<Route["conflict"]>): Route => ({ ...USERS, conflict });

const lacking = (ability: keyof Abilities): Abilities => ({ ...ALL, [ability]: false });

type Row = readonly [route: Route, asked: AskedOfTargets, needs: keyof Abilities, setting: string, says: RegExp];

const POLICY_ROWS = (["merge", "keep-target"] as const).flatMap((conflict): Row[] =>
  (
    [
      ["foreignWrites", /does not tell what others write to it: use mirror.*not a standalone/],
      ["transactions", /takes no part in the transactions of ferry's state: use mirror.*no --state/],
      ["keys", /does not list its documents: use mirror/],
      ["verbatim", /does not keep documents byte for byte: use mirror/],
    ] as const
  ).flatMap(([needs, says]): Row[] => [
    [owned(conflict), {}, needs, `conflict: ${conflict}`, says],
    [owned(conflict), { conflict: "mirror" }, needs, `conflict: ${conflict}`, says],
    [USERS, { conflict }, needs, `--conflict ${conflict}`, says],
  ]),
);

const ROWS: readonly Row[] = [
  ...POLICY_ROWS,
  [USERS, { deltas: "apply" }, "patches", "--deltas apply", /takes whole documents only: leave --deltas out/],
  [USERS, { source: false }, "patches", "a run without --source", /takes whole documents only: give --source/],
  [USERS, { ddl: { drop: "apply" } }, "incarnations", "ddl.drop: apply", /cannot drop what.*: leave ddl.drop out/],
  [
    USERS,
    { recopy: true },
    "keys",
    "--recopy",
    /does not list its documents: remove .*--accept FERRY_TARGET_LEFTOVERS/,
  ],
  [USERS, { replaceTarget: true }, "structure", "--replace-target", /cannot be emptied .*--accept FERRY_TARGET_LEFTO/],
];

test("each setting is refused for the one ability that it needs, with the route, the setting and the remedy", () => {
  for (const [route, asked, needs, setting, says] of ROWS) {
    assert.deepEqual(
      misfitsOf([route], asked, () => ALL),
      [],
      setting,
    );
    const [misfit, ...more] = misfitsOf([route], asked, () => lacking(needs));
    assert.ok(misfit !== undefined && more.length === 0, `${setting} without ${needs}`);
    const text = `${misfit.sentence}: ${misfit.remedy}`;
    assert.ok(text.startsWith(`route shop.users: ${setting} is not possible, since shop.users `), text);
    assert.match(text, says);
  }
});

test("what asks for nothing special fits every target, and so does what the operator has accepted", () => {
  const none = Object.fromEntries(Object.keys(ALL).map((name) => [name, false])) as Abilities;
  for (const asked of [
    {},
    { conflict: "refuse", deltas: "look-up", source: true, ddl: {} },
    { conflict: "mirror", ddl: { drop: "hold" } },
    { recopy: true, replaceTarget: true, accept: "FERRY_LOG_TRUNCATED,FERRY_TARGET_LEFTOVERS" },
  ] as const)
    assert.deepEqual(
      misfitsOf([USERS, owned("mirror")], asked, () => none),
      [],
    );
  assert.deepEqual(misfitsOf([owned("merge")], { accept: "FERRY_TARGET_LEFTOVERS" }, () => none).length, 1);
});

test("what a user pool cannot do is refused with its route, the setting and the remedy", () => {
  const to = { cognito: { userPoolId: "local_users", username: "_id", attributes: { email: "email" } } };
  const pool: Route = { ...plainRoute("shop.users"), name: "users", to };
  const refusal = (route: Route, asked: AskedOfTargets): string => {
    try {
      requireFits([USERS, route], asked);
    } catch (error) {
      if (error instanceof FerryError) return error.message;
      throw error;
    }
    return "";
  };
  for (const [route, asked, says] of [
    [
      { ...pool, conflict: "merge" },
      {},
      /FERRY_TARGET_POLICY: route users: conflict: merge .*local_users does not tell/,
    ],
    [pool, { conflict: "keep-target" }, /FERRY_TARGET_POLICY: route users: --conflict keep-target is not/],
    [pool, { deltas: "apply" }, /FERRY_TARGET_ABILITY: route users: --deltas apply is not .*: leave --deltas out/],
    [pool, { source: false }, /FERRY_TARGET_ABILITY: route users: a run without --source is not .*: give --source/],
    [pool, { ddl: { drop: "apply" } }, /FERRY_TARGET_ABILITY: route users: ddl.drop: apply is not .*: leave ddl.drop/],
    [pool, { recopy: true }, /FERRY_TARGET_LEFTOVERS: route users: --recopy is not .*: remove what/],
    [pool, { replaceTarget: true }, /FERRY_TARGET_LEFTOVERS: route users: --replace-target is not .*: remove what/],
    [{ ...pool, to: { cognito: { ...to.cognito, attributes: { email: "a..b" } } } }, {}, /FERRY_CONFIG: route users: /],
  ] as const)
    assert.match(refusal(route, asked), says);
  assert.equal(refusal(pool, { conflict: "mirror", deltas: "look-up", source: true, ddl: {} }), "");
  assert.equal(refusal(pool, { recopy: true, accept: "FERRY_TARGET_LEFTOVERS" }), "");
});

test("a configuration is refused exactly when one of its routes asks for what its target cannot do", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyRoute, anyAbilities), { maxLength: 3 }), anyAsked, (routes, asked) => {
      const abilities = new Map(routes);
      const misfits = misfitsOf([...abilities.keys()], asked, (route) => abilities.get(route) ?? ALL);
      const wanted = [...abilities].flatMap(([route, can]) => neededBy(route, asked).filter((needs) => !can[needs]));
      assert.equal(misfits.length > 0, wanted.length > 0);
    }),
    { numRuns: 2000 },
  );
});

test("where the MongoDB target lies decides what it can do: a policy needs a replica set with ferry's state", () => {
  const merges = (site: typeof BEST_SITE | undefined) => () => requireFits(undefined, { conflict: "merge" }, site);
  for (const site of [undefined, BEST_SITE]) assert.doesNotThrow(merges(site));
  assert.throws(merges({ standalone: true, apart: false }), { code: "FERRY_TARGET_POLICY", detail: /does not tell/ });
  assert.throws(merges({ standalone: false, apart: true }), { code: "FERRY_TARGET_POLICY", detail: /no --state/ });
  assert.doesNotThrow(() =>
    requireFits(undefined, { recopy: true, deltas: "apply" }, { standalone: true, apart: true }),
  );
});
