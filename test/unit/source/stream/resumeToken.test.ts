import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON } from "bson";
import { ResumeToken, secondsOf, tokenTime } from "#source/stream/resumeToken.ts";

const DATA = "826B03A809000000022B0229296E04";
const PLAIN = ResumeToken.stored({ _data: DATA });
/** Of an event of a document with a large Int64 `_id`. */
const TOKEN = new ResumeToken(BSON.serialize({ _data: DATA, _typeBits: new Binary(Buffer.from([0x82, 0x40])) }));

test("a token holds its cluster time", () => {
  assert.equal(tokenTime(TOKEN), 0x6b03a80900000002n);
  assert.equal(secondsOf(tokenTime(TOKEN)), 0x6b03a809);
  assert.equal(tokenTime({ _data: "0123" }), 0n);
});

test("a token is kept whole: in a record, and in the text of an offset", () => {
  const kept = BSON.deserialize(BSON.serialize({ before: 1, token: TOKEN, after: 2 }));
  assert.deepEqual(Object.keys(kept), ["before", "token", "after"]);
  assert.deepEqual(ResumeToken.stored(kept["token"]).bytes, TOKEN.bytes);
  assert.deepEqual(ResumeToken.parse(TOKEN.text).bytes, TOKEN.bytes);
  assert.ok(TOKEN.isAt(PLAIN));
});
