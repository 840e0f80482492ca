import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError } from "#base/errors/ferryError.ts";
import { openApi } from "#surface/api/openApi.ts";
import { plainJson } from "#surface/api/plainJson.ts";
import { problemOf } from "#surface/api/problem.ts";
import type { Operation } from "../../../../src/surface/api/contract/operation.ts";
import { OPERATIONS } from "../../../../src/surface/api/contract/operations.ts";

const operations = Object.entries<Operation>(OPERATIONS);

test("nothing is changed by a GET or by a viewer, and only the description needs no token", () => {
  for (const [name, { method, access }] of operations) {
    if (method === "POST") assert.ok(access === "operator" || access === "cutover", name);
    if (access === "anyone") assert.equal(name, "getOpenApi");
  }
});

test("each path has the parameters that it names, and each pair of method and path is one operation", () => {
  for (const [name, { path, params }] of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, key]) => key);
    assert.deepEqual(Object.keys(params?.properties ?? {}), named, name);
  }
  assert.equal(new Set(operations.map(([, { method, path }]) => `${method} ${path}`)).size, operations.length);
});

test("the description holds every operation, plain JSON, and no reference that leads nowhere", () => {
  const text = JSON.stringify(openApi());
  const described = JSON.parse(text) as {
    paths: Record<string, Record<string, { operationId: string; security: object[] }>>;
    components: { schemas: object };
  };
  const ids = Object.values(described.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  assert.deepEqual(ids.sort(), Object.keys(OPERATIONS).sort());
  for (const [, name = ""] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
    assert.ok(name in described.components.schemas, name);
});

test("an answer is plain: times as text, ferry's own words without passwords, documents as they are", () => {
  const value = { at: new Date(0), said: ["mongodb://ferry:secret@host/"], n: null };
  assert.deepEqual(plainJson(value, false), { at: "1970-01-01T00:00:00.000Z", said: ["mongodb://host/"], n: null });
  assert.deepEqual(plainJson(value, true), { ...value, at: "1970-01-01T00:00:00.000Z" });
});

test("an error's status follows from its code and exit; one that is none of ferry's shows nothing of itself", () => {
  const statusOf = (...args: ConstructorParameters<typeof FerryError>) => problemOf(new FerryError(...args)).status;
  assert.equal(statusOf("FERRY_API_TOKEN", "x"), 401);
  assert.equal(statusOf("FERRY_USAGE", "x"), 400);
  assert.equal(statusOf("FERRY_MONGO_UNREACHABLE", "x"), 503);
  assert.equal(statusOf("FERRY_RUN_FINALIZED", "x"), 409);
  const { status, body } = problemOf(new Error("mongodb://ferry:secret@host/"));
  assert.deepEqual([status, body.code, JSON.stringify(body).includes("host")], [500, "FERRY_BUG", false]);
  const { headers } = problemOf(new FerryError("FERRY_API_LIMIT", "x", { facts: { retryAfterSeconds: 7 } }));
  assert.deepEqual(headers, { "retry-after": "7" });
});
