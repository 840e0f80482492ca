import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoServerError } from "mongodb";
import type { FerryError } from "#base/errors/ferryError.ts";
import { mongoError } from "#io/mongo/errors.ts";
import { CODES } from "./refusedCodes.ts";

const refused = (errmsg: string): FerryError =>
  mongoError(new MongoServerError({ errmsg, code: 13 }), "writing documents");

test("a refused command is named without what was in it: no document, no session", () => {
  const told = refused(
    'not authorized on shop to execute command { insert: "users", documents: [ { email: "a@b.c",\n n: 1 } ], lsid: { id: UUID("8cb9b2de-da0b-4365-ae2c-4a5906c8cef2") }, $db: "shop" }',
  );
  assert.equal(told.code, "FERRY_MONGO_PRIVILEGE");
  assert.match(told.message, /writing documents: not authorized on shop to execute command insert \(13\)$/);
});

test("a missing login is reported as such, not as a missing privilege", () => {
  const { code, message } = refused("command listCollections requires authentication");
  assert.equal(code, "FERRY_MONGO_ANONYMOUS");
  assert.match(message, /: command listCollections requires authentication \(13\)$/);
});

test("a socket that breaks while a command is still being written is a server that went away", () => {
  for (const facts of [
    { syscall: "write", code: "ECONNRESET" },
    { syscall: "write", code: "EPIPE" },
    { syscall: "read", code: "ETIMEDOUT" },
    { code: "ERR_STREAM_DESTROYED" },
  ]) {
    const error = mongoError(Object.assign(new Error(`${facts.syscall} ${facts.code}`), facts), "looking");
    assert.equal(error.code, "FERRY_MONGO_UNREACHABLE", facts.code);
    assert.equal(error.entry.retry, "backoff");
  }
  assert.equal(
    mongoError(Object.assign(new Error(), { syscall: "open", code: "ENOENT" }), "looking").code,
    "FERRY_BUG",
  );
});

const RETRIED: Readonly<Record<string, string>> = {
  FERRY_MONGO_TRANSIENT: "backoff",
  FERRY_MONGO_AUTH: "operator",
  FERRY_TARGET_CAPPED: "operator",
};

for (const [code, all] of Object.entries(CODES))
  test(`${code}: ${all.length} codes of a refused command`, () => {
    for (const [server, name] of all) {
      const error = mongoError(new MongoServerError({ errmsg: name, code: server, codeName: name }), "writing");
      assert.equal(error.code, code, `${server} ${name}`);
      assert.equal(error.entry.retry, RETRIED[code] ?? "never", name);
    }
  });
