import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoServerError } from "mongodb";
import type { FerryError } from "#errors/ferryError.ts";
import { mongoError } from "#mongo/errors.ts";

const refused = (errmsg: string): FerryError =>
  mongoError(new MongoServerError({ errmsg, code: 13 }), "writing documents");

test("a refused command is named without what was in it: no document, no session", () => {
  const told = refused(
    'not authorized on shop to execute command { insert: "users", documents: [ { email: "a@b.c",\n n: 1 } ], lsid: { id: UUID("8cb9b2de-da0b-4365-ae2c-4a5906c8cef2") }, $db: "shop" }',
  );
  assert.equal(told.code, "FERRY_MONGO_PRIVILEGE");
  assert.match(told.message, /writing documents: not authorized on shop to execute command insert \(13\)$/);
});

test("who has not logged in is told to, and not to be granted something", () => {
  const { code, message } = refused("command listCollections requires authentication");
  assert.equal(code, "FERRY_MONGO_AUTH");
  assert.match(message, /: command listCollections requires authentication \(13\)$/);
});
