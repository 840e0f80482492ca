import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Timestamp } from "bson";
import type { WriteOp } from "#base/flow/types.ts";
import { idFilter, statementsOf } from "#sink/mongo/statements.ts";

const decoded = (bytes: Uint8Array): Document => BSON.deserialize(bytes);
const filterOf = (key: Document): Document => decoded(idFilter(BSON.serialize(key)));

test("a document is found by its _id alone, and one that looks like an operator is compared", () => {
  assert.deepEqual(filterOf({ _id: 5 }), { _id: 5 });
  // The key of a sharded source has its shard key beside, before or behind the _id.
  assert.deepEqual(filterOf({ country: "de", _id: 5, zip: 1 }), { _id: 5 });
  assert.deepEqual(filterOf({ _id: { a: 1 } }), { _id: { a: 1 } });
  assert.deepEqual(filterOf({ _id: { $gt: 1 } }), { _id: { $eq: { $gt: 1 } } });
});

const write = (doc: Document, fresh: boolean): WriteOp => ({
  ...{ op: "write", key: BSON.serialize({ _id: doc["_id"] }), doc: BSON.serialize(doc), fresh },
});

const statements = (doc: Document, fresh: boolean): Record<string, Document[]> => {
  const { deletes, inserts, updates } = statementsOf([write(doc, fresh)]);
  return { deletes: deletes.map(decoded), inserts: inserts.map(decoded), updates: updates.map(decoded) };
};

test("a new document is inserted, another replaced", () => {
  const doc = { _id: 1, n: 2 };
  assert.deepEqual(statements(doc, true), { deletes: [], inserts: [doc], updates: [] });
  const updates = [{ q: { _id: 1 }, u: doc, upsert: true }];
  assert.deepEqual(statements(doc, false), { deletes: [], inserts: [], updates });
});

test("a name with a dollar is refused in a replacement: the document is deleted and inserted", () => {
  const doc = { _id: 1, $n: 2 };
  assert.deepEqual(statements(doc, true), { deletes: [], inserts: [doc], updates: [] });
  assert.deepEqual(statements(doc, false), { deletes: [{ q: { _id: 1 }, limit: 1 }], inserts: [doc], updates: [] });
});

test("an empty timestamp would get the server's clock: it is written as a literal, where nothing is before", () => {
  const doc = { _id: 1, at: new Timestamp({ t: 0, i: 0 }) };
  const deletes = [{ q: { _id: 1 }, limit: 1 }];
  const updates = [{ q: { _id: 1 }, u: [{ $replaceWith: { $literal: doc } }], upsert: true }];
  for (const fresh of [true, false]) assert.deepEqual(statements(doc, fresh), { deletes, inserts: [], updates });
  // Only at the top level does the server look for it.
  assert.equal(statements({ _id: 1, in: { at: doc.at } }, true)["inserts"]?.length, 1);
});
