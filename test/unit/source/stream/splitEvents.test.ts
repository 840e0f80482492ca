import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Timestamp } from "bson";
import { createDecoder } from "#io/wire/decode.ts";
import { Fragments, fragmentOf } from "#source/stream/splitEvents.ts";

const bytes = (document: Document): Buffer => Buffer.from(BSON.serialize(document));

/**
 * In the form that MongoDB's manual shows for `$changeStreamSplitLargeEvent`: `_id` and `splitEvent` in each fragment, every
 * other field in one of them. The server at hand (6.0.5) does not know the stage.
 */
const update = (delta: boolean): Buffer[] => {
  const token = (n: number): Document => ({ _data: `826B0372000000000${n}2B022C0100296E5A1004` });
  const parts: Document[] = [
    {
      operationType: "update",
      clusterTime: new Timestamp({ t: 5, i: 1 }),
      ns: { db: "a", coll: "b" },
      documentKey: { _id: 7 },
    },
    { fullDocument: { _id: 7, x: "x".repeat(100) } },
    ...(delta ? [{ updateDescription: { updatedFields: { x: "x".repeat(100) }, removedFields: [] } }] : []),
  ];
  return parts.map((part, i) => bytes({ _id: token(i), splitEvent: { fragment: i + 1, of: parts.length }, ...part }));
};

const whole = bytes({
  _id: { _data: "82" },
  operationType: "delete",
  clusterTime: new Timestamp({ t: 6, i: 1 }),
  ns: { db: "a", coll: "b" },
  documentKey: { _id: 8 },
});

test("fragments are distinguished from whole events", () => {
  assert.equal(fragmentOf(whole), undefined);
  assert.deepEqual(fragmentOf(update(true)[1] as Buffer), { fragment: 2, of: 3 });
});

test("an event in fragments becomes one, with the last one's position and without the delta that made it large", () => {
  const joined = new Fragments().join([whole, ...update(true), whole]);
  assert.equal(joined.length, 3);
  const event = BSON.deserialize(joined[1] as Uint8Array);
  assert.equal(event["_id"]._data, "826B037200000000022B022C0100296E5A1004");
  assert.deepEqual(Object.keys(event), ["_id", "operationType", "clusterTime", "ns", "documentKey", "fullDocument"]);
  const { event: decoded } = createDecoder()({ key: null, value: joined[1] as Uint8Array, offset: 0, timestampMs: 0 });
  assert.equal(decoded?.op, "write");
});

test("fragments that come in several replies wait for the rest, and the position with them", () => {
  const fragments = new Fragments();
  const [first, second] = update(false);
  assert.deepEqual(fragments.join([whole, first as Buffer]), [whole]);
  assert.equal(fragments.isOpen, true);
  assert.equal(fragments.join([second as Buffer, whole]).length, 2);
  assert.equal(fragments.isOpen, false);
});

test("fragments that are sent again from the first are joined once", () => {
  const fragments = new Fragments();
  const [first, second] = update(false);
  fragments.join([first as Buffer]);
  const joined = fragments.join([first as Buffer, second as Buffer]);
  assert.equal(joined.length, 1);
  const names = Object.keys(BSON.deserialize(joined[0] as Uint8Array));
  assert.equal(names.filter((name) => name === "documentKey").length, 1);
});

test("a process that died between two fragments begins the event again: what it had of it is not needed, and nothing is lost", () => {
  const parts = update(true);
  for (let cut = 1; cut < parts.length; cut++) {
    const died = new Fragments();
    assert.deepEqual(died.join([whole, ...parts.slice(0, cut)]), [whole]);
    assert.equal(died.isOpen, true, "so the position stays at the event before");
    const next = new Fragments();
    const [event, after] = next.join([...parts, whole]);
    assert.deepEqual(event, new Fragments().join(parts)[0]);
    assert.equal(after, whole);
    assert.equal(next.isOpen, false);
  }
});

test("events at the boundary: one fragment alone, and fragments of two events side by side", () => {
  const single = bytes({ _id: { _data: "82" }, splitEvent: { fragment: 1, of: 1 }, operationType: "insert" });
  const fragments = new Fragments();
  const [alone] = fragments.join([single]);
  assert.deepEqual(BSON.deserialize(alone as Uint8Array), { _id: { _data: "82" }, operationType: "insert" });
  assert.equal(fragments.isOpen, false);
  const [first, second] = update(false) as [Buffer, Buffer];
  assert.deepEqual(fragments.join([first]), []);
  assert.equal(fragments.join([second, first]).length, 1);
  assert.equal(fragments.isOpen, true, "the second event has begun");
  assert.equal(fragments.join([second]).length, 1);
});
