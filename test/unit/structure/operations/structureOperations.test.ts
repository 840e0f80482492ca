import assert from "node:assert/strict";
import { test } from "node:test";
import { type FerryError, isFerry } from "#base/errors/ferryError.ts";
import { requireComplete, requirePossible, routed } from "#structure/operations/structureOperations.ts";

/** One of the refusals, with its detail. */
const refused = (code: FerryError["code"], detail: string) => (error: unknown) =>
  isFerry(error) && error.code === code && error.detail === detail;

test("a route's rules tell how values come to the target: a mask over a path, above or below it makes them alike", () => {
  process.env["FERRY_TEST_SALT"] = "0123456789abcdef0123456789abcdef";
  const fields = { mask: { "name.first": { text: "x" }, mail: { sha256: { saltEnv: "FERRY_TEST_SALT" } } } } as const;
  const [found] = routed([{ from: "shop.users", to: { mongodb: "crm.people" }, fields }]);
  assert.equal(found?.to, "crm.people");
  assert.equal(found?.chosen, false);
  const masked = (path: string) => found?.fields?.masked(path);
  assert.deepEqual(["name", "name.first", "name.first.x"].map(masked), ["alike", "alike", "alike"]);
  assert.deepEqual(["mail", "name.last", "names"].map(masked), ["distinct", undefined, undefined]);
});

test("what refuses a plan is named with every reason; notes and parts that are left out refuse nothing", () => {
  const note = { level: "note", ns: "a.b", reason: "with a limit" } as const;
  requirePossible({ steps: [], findings: [note, { ...note, level: "left-out" }] });
  const findings = [note, { ...note, level: "refused" }, { ...note, level: "refused", index: "x_1" }] as const;
  assert.throws(
    () => requirePossible({ steps: [], findings }),
    refused("FERRY_STRUCTURE_REFUSED", "a.b: with a limit; a.b (x_1): with a limit"),
  );
});

test("what could not be built is named with its index", () => {
  requireComplete([]);
  const failures = [
    { ns: "a.b", index: "", reason: "no" },
    { ns: "a.b", index: "x_1", reason: "duplicates" },
  ];
  assert.throws(
    () => requireComplete(failures),
    refused("FERRY_STRUCTURE_INCOMPLETE", "a.b: no; a.b (x_1): duplicates"),
  );
});
