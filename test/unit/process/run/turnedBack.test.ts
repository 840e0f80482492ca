import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import { meantOf, type Sent } from "#process/run/carriedBack.ts";
import type { DirectDeps } from "#process/run/runWiring.ts";
import { turnedBack } from "#process/run/turnedBack.ts";

const recordOf = (_id: number, namespaces: readonly string[], seconds = _id * 100): CutoverRecord =>
  ({
    _id,
    namespaces,
    back: { token: { _data: `82${_id}` }, at: new Timestamp(BigInt(seconds) << 32n) },
  }) as unknown as CutoverRecord;

const turned = (
  records: readonly CutoverRecord[],
  deps: Partial<Pick<DirectDeps, "routes" | "spec">> & Readonly<{ conflict?: string }> = {},
) => {
  const { routes, spec = { include: [], exclude: [] }, conflict = "refuse" } = deps;
  const settings = { source: "mongodb://old", target: "mongodb://new", state: "mongodb://memory", stateDb: "ferry" };
  const given = { settings, routes, spec, options: { conflict } } as unknown as DirectDeps;
  return turnedBack(given, meantOf(records as unknown as Sent, undefined));
};

const routeTo = (from: string, to: string, more: Partial<Route> = {}): Route => ({
  ...plainRoute(from),
  name: from,
  to: { mongodb: to },
  ...more,
});

test("sides are exchanged, and what is remembered lies on the new target under a name of its own; nothing is copied or built", () => {
  const { settings, options, structure, recopy, replaceTarget } = turned([recordOf(1, [])]);
  assert.deepEqual(settings, {
    source: "mongodb://new",
    target: "mongodb://old",
    state: undefined,
    stateDb: "ferry_reverse",
  });
  assert.deepEqual([structure, recopy, replaceTarget], [false, false, false]);
  assert.equal(options.conflict, "mirror", "the documents there are the ones that were carried");
  assert.equal(turned([recordOf(1, [])], { conflict: "merge" }).options.conflict, "merge");
});

test("it begins at the earliest position of what it does not carry yet", () => {
  const start = (...records: readonly CutoverRecord[]) => turned(records).back.start.at.getHighBits();
  assert.equal(start(recordOf(2, [], 700), recordOf(1, [], 300)), 300);
  assert.equal(start(recordOf(2, [], 300), recordOf(1, [], 700)), 300);
  const known = { behind: { after: 0, newest: 1 } };
  const meant = meantOf([recordOf(2, ["s.b"], 700), recordOf(1, ["s.a"], 300)] as unknown as Sent, known);
  const given = {
    settings: { target: "mongodb://new" },
    routes: undefined,
    spec: { include: [], exclude: [] },
    options: {},
  };
  const { back } = turnedBack(given as unknown as DirectDeps, meant);
  assert.equal(back.start.at.getHighBits(), 700, "the first is carried back already");
  assert.deepEqual(back.begun, ["s.b"]);
});

test("a cutover that noted no position has no way back, and masked or chosen documents have none", () => {
  const { back: _, ...unnoted } = recordOf(1, []);
  assert.throws(
    () => turned([recordOf(2, []), unnoted as CutoverRecord]),
    (error) => isFerry(error, "FERRY_ROLLBACK_NONE"),
  );
  const routes = [
    routeTo("s.a", "t.a", { where: { active: true } }),
    routeTo("s.b", "t.b", { fields: { mask: { mail: { text: "x" } } } }),
    routeTo("s.c", "t.c"),
  ];
  assert.throws(
    () => turned([recordOf(1, [])], { routes }),
    (error) => isFerry(error, "FERRY_ROLLBACK_ROUTE") && /s\.a: .*; s\.b: /.test(error.detail),
  );
  // What was not sent over hinders nothing.
  assert.deepEqual(
    turned([recordOf(1, ["s.c"])], { routes }).routes?.map(({ from, to }) => [from, to]),
    [["t.c", { mongodb: "s.c" }]],
  );
});

test("what was sent over by name is carried back by the target's names, whatever was selected; else what is selected now", () => {
  const routes = [routeTo("s.a", "t.a"), routeTo("s.b", "t.b")];
  const spec = { include: ["t.x"], exclude: ["t.y"] };
  const specOf = (records: readonly CutoverRecord[], include = spec.include) =>
    turned(records, { routes, spec: { ...spec, include } }).spec;
  assert.deepEqual(specOf([recordOf(1, ["s.b"])]), { include: ["t.b"], exclude: ["t.y"] });
  assert.deepEqual(specOf([recordOf(2, ["s.b"]), recordOf(1, [])]), { include: ["t.x", "t.b"], exclude: ["t.y"] });
  assert.deepEqual(specOf([recordOf(1, [])], []), { include: [], exclude: ["t.y", "ferry.*"] });
});

test("the forward run's own database is left out wherever the selection would take it in", () => {
  const excluded = (include: readonly string[]) =>
    turned([recordOf(1, [])], { spec: { include, exclude: [] } }).spec.exclude;
  for (const include of [[], ["*"], ["ferry.*"], ["fer*.users"], ["s.a", "*.users"]])
    assert.deepEqual(excluded(include), ["ferry.*"], include.join());
  for (const include of [["s.a"], ["s.*"]]) assert.deepEqual(excluded(include), [], include.join());
});
