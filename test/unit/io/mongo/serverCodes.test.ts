import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoServerError } from "mongodb";
import { FerryError } from "#base/errors/ferryError.ts";
import {
  hasServerCode,
  isCursorGone,
  isHistoryLost,
  isPassingCode,
  isWrongCommand,
  ServerCode,
  serverCodeOf,
} from "#io/mongo/serverCodes.ts";

const translated = (serverCode: number): FerryError =>
  new FerryError("FERRY_MONGO_COMMAND", "refused", { facts: { serverCode } });

test("a server's code is read from the driver's error and from the translated one alike", () => {
  const raw = new MongoServerError({ message: "E11000", code: 11000 });
  assert.equal(serverCodeOf(raw), ServerCode.DuplicateKey);
  assert.ok(hasServerCode(raw, ServerCode.NamespaceExists, ServerCode.DuplicateKey));
  assert.ok(hasServerCode(translated(48), ServerCode.NamespaceExists));
  assert.ok(!hasServerCode(translated(48), ServerCode.DuplicateKey));
  for (const other of [new Error("none"), Object.assign(new Error("file"), { code: "ENOENT" }), undefined, null])
    assert.equal(serverCodeOf(other), undefined);
  assert.equal(serverCodeOf(new FerryError("FERRY_BUG", "none")), undefined);
});

test("what a code means is decided in one place", () => {
  assert.deepEqual(
    [280, 286, 43].map((code) => isHistoryLost(translated(code))),
    [true, true, false],
  );
  assert.deepEqual(
    [43, 136, 175, 237, 286].map((code) => isCursorGone(translated(code))),
    [true, true, true, true, false],
  );
  assert.deepEqual([112, 11600, 11000].map(isPassingCode), [true, true, false]);
  assert.deepEqual([26, 166, 121].map(isWrongCommand), [true, true, false]);
});

test("the sources compare servers' codes by name", () => {
  const compared = /facts\??\.?\["serverCode"\]|(?:serverCodeOf\([^)]*\)|\berror\.code|\.code\))\s*[!=]==?\s*\d/;
  const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  assert.deepEqual(
    files.filter((name) => compared.test(readFileSync(join("src", name), "utf8"))),
    [join("io", "mongo", "serverCodes.ts")],
  );
});
