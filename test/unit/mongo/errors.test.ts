import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoServerError } from "mongodb";
import { mongoError } from "#mongo/errors.ts";

const refused = (errmsg: string): string =>
  mongoError(new MongoServerError({ errmsg, code: 13 }), "writing documents").message;

test("a refused command is named without what was in it: no document, no session", () => {
  const told = refused(
    'not authorized on shop to execute command { insert: "users", documents: [ { email: "a@b.c",\n n: 1 } ], lsid: { id: UUID("8cb9b2de-da0b-4365-ae2c-4a5906c8cef2") }, $db: "shop" }',
  );
  assert.match(told, /writing documents: not authorized on shop to execute command insert \(13\)$/);
});

test("a text of another shape stays as it is", () => {
  assert.match(refused("command listCollections requires authentication"), /: command listCollections requires auth/);
});
