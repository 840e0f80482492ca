import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LogRecord } from "#base/flow/types.ts";
import { createDecoder, type Decoded } from "#io/wire/decode.ts";
import {
  anyFields,
  anyValue,
  canonical,
  encode,
  type Fields,
  legacy,
  survivesLegacy,
  type Value,
} from "../../base/bson/arbitrary.ts";

const text = (v: string): Value => ({ t: "string", v });
const object = (...v: Fields): Value => ({ t: "object", v });
const int = (v: number): Value => ({ t: "int32", v });

const time: Value = { t: "timestamp", seconds: 1795388137, increment: 3 };
const AT = (1795388137n << 32n) | 3n;
const TOKEN = "826B0372A9000000032B022C0100296E5A1004";
const ns = object(["db", text("test")], ["coll", text("users")]);
const key = object(["_id", int(3)]);

/** A streamed event; a field set to undefined is left out. */
const event = (operationType: string, fields: Readonly<Record<string, Value | undefined>> = {}): Fields => {
  const all: Record<string, Value | undefined> = {
    _id: object(["_data", text(TOKEN)]),
    operationType: text(operationType),
    clusterTime: time,
    wallTime: { t: "date", v: 1795388137000n },
    ns,
    documentKey: key,
    ...fields,
  };
  return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
};

const record = (value: Uint8Array | string | null, key: Uint8Array | string | null = null): LogRecord => ({
  key: typeof key === "string" ? Buffer.from(key) : key,
  value: typeof value === "string" ? Buffer.from(value) : value,
  offset: 0,
  timestampMs: 0,
});

const decode = createDecoder();
const decodeBson = (fields: Fields): Decoded => decode(record(encode(fields)));
const poison = (fields: Fields): string => decodeBson(fields).poison ?? "not poison";
const eventOf = (decoded: Decoded) => decoded.event ?? assert.fail(decoded.poison);

test("a streamed insert is a fresh write whose bodies are slices of the record", () => {
  const doc = object(["_id", int(3)], ["name", text("x")]);
  const bytes = encode(event("insert", { fullDocument: doc }));
  const { event: found, token } = decode(record(bytes));
  assert.ok(found?.op === "write");
  assert.equal(found.fresh, true);
  assert.equal(found.origin, "stream");
  assert.deepEqual(found.ns, { db: "test", coll: "users" });
  assert.equal(found.at, AT);
  assert.equal(token, TOKEN);
  assert.deepEqual(Buffer.from(found.key), encode([["_id", int(3)]]));
  assert.equal(found.doc.buffer, bytes.buffer);
});

test("copied documents have the copy's time, or none", () => {
  const copied = {
    _id: object(["_id", int(3)], ["copyingData", { t: "boolean", v: true }]),
    fullDocument: key,
    clusterTime: undefined,
  };
  const dated = eventOf(decodeBson(event("insert", { ...copied, copyTime: time })));
  assert.equal(dated.origin, "copy");
  assert.equal(dated.at, AT);
  assert.equal(eventOf(decodeBson(event("insert", copied))).at, 0n);
});

test("an event without clusterTime takes the time of its resume token", () => {
  const found = eventOf(decodeBson(event("delete", { clusterTime: undefined })));
  assert.equal(found.at, (0x6b0372a9n << 32n) | 3n);
});

test("updates: looked up, deleted since, and known by their delta only", () => {
  const update = object(["updatedFields", object(["a", int(1)])]);
  assert.equal(eventOf(decodeBson(event("update", { fullDocument: key }))).op, "write");
  const gone = eventOf(decodeBson(event("update", { fullDocument: { t: "null" }, updateDescription: update })));
  assert.ok(gone.op === "noop" && gone.reason === "deleted-since");
  const patch = eventOf(decodeBson(event("update", { updateDescription: update })));
  assert.ok(patch.op === "patch");
  assert.deepEqual(Buffer.from(patch.update), encode([["updatedFields", object(["a", int(1)])]]));
});

test("null values are tombstones, or heartbeats by their key", () => {
  const noop = (key: string | null): string => {
    const found = eventOf(decode(record(null, key)));
    return found.op === "noop" ? found.reason : found.op;
  };
  assert.equal(noop('{"_id": 1}'), "tombstone");
  assert.equal(noop(null), "tombstone");
  assert.equal(noop('{"_data": "826B03682C000007092B0229296E04"}'), "heartbeat");
  assert.equal(eventOf(decode(record('{"schema": null, "payload": null}'))).op, "noop");
});

test("namespaces are distinguished also when one follows another of the same length", () => {
  for (const coll of ["users", "posts", "users", "ключи"]) {
    const found = eventOf(decodeBson(event("delete", { ns: object(["db", text("test")], ["coll", text(coll)]) })));
    assert.deepEqual(found.ns, { db: "test", coll });
  }
});

const damaged: readonly (readonly [string, Fields, RegExp])[] = [
  ["unknown operationType", event("explode"), /operationType "explode" is unknown/],
  ["operationType of another type", event("x", { operationType: int(1) }), /operationType is not a string/],
  ["no ns", event("delete", { ns: undefined }), /has no ns/],
  ["ns without a database", event("delete", { ns: object() }), /names no database/],
  ["a document event on a whole database", event("delete", { ns: object(["db", text("d")]) }), /names no collection/],
  ["no documentKey", event("delete", { documentKey: undefined }), /delete has no documentKey/],
  ["documentKey without _id", event("delete", { documentKey: object(["a", int(1)]) }), /documentKey has no _id/],
  ["insert without document", event("insert"), /insert has no fullDocument/],
  ["replace with null", event("replace", { fullDocument: { t: "null" } }), /replace has no fullDocument/],
  ["document without _id", event("insert", { fullDocument: object() }), /fullDocument has no _id/],
  ["update with nothing", event("update"), /neither fullDocument nor updateDescription/],
  ["update with a document of another type", event("update", { fullDocument: int(1) }), /not a document/],
  [
    "a fragment",
    event("update", { splitEvent: object(["fragment", int(1)], ["of", int(2)]) }),
    /splitLargeEvent|SplitLargeEvent/,
  ],
  ["a bare document", [["_id", int(1)]], /publish\.full\.document\.only/],
];
for (const [what, fields, reason] of damaged) {
  test(`poison with its reason: ${what}`, () => assert.match(poison(fields), reason));
}

const whole = encode(event("insert", { fullDocument: key }));
const raw: readonly (readonly [string, Uint8Array | string, RegExp])[] = [
  ["empty", "", /is empty/],
  ["truncated BSON", whole.subarray(0, whole.length - 9), /length says \d+ bytes, \d+ are there/],
  ["trailing bytes", Buffer.concat([whole, Buffer.from("abc")]), /3 more after its end/],
  ["a schema registry's record", Buffer.from("0000000001026162", "hex"), /schema registry/],
  ["plain text", "hello world", /neither BSON nor JSON/],
  ["truncated JSON", '{"_id": {"_data": "82', /damaged JSON/],
  ["two JSON values", '{"a": 1} {"b": 2}', /something follows its end/],
  ["a JSON number", "12345", /neither BSON nor JSON/],
  [
    "JSON in too many strings",
    JSON.stringify(JSON.stringify(JSON.stringify(JSON.stringify(JSON.stringify("{}"))))),
    /more layers/,
  ],
  ["JSON nested beyond every limit", `{"a":`.repeat(10_000), /nests deeper/],
];
for (const [what, value, reason] of raw) {
  test(`poison with its reason: ${what}`, () => assert.match(decode(record(value)).poison ?? "not poison", reason));
}

test("a document damaged below its top level is poison, unless only the top level is read", () => {
  const bytes = encode(event("insert", { fullDocument: object(["_id", int(3)], ["on", { t: "boolean", v: true }]) }));
  bytes[bytes.indexOf("\x08on\0", 0, "latin1") + 4] = 2;
  assert.match(decode(record(bytes)).poison ?? "", /fullDocument is damaged BSON: a boolean that is neither 0 nor 1/);
  assert.equal(createDecoder({ nested: false })(record(bytes)).poison, undefined);
});

/** An update that carries everything, from random parts. */
const anyEvent = fc.tuple(anyValue, anyFields, anyFields).map(
  ([id, fields, updated]): Fields =>
    event("update", {
      documentKey: object(["_id", id]),
      fullDocument: object(["_id", id], ...fields),
      updateDescription: object(["updatedFields", object(...updated)]),
    }),
);

const bodies = (decoded: Decoded): unknown => {
  const found = eventOf(decoded);
  assert.ok(found.op === "write");
  return { ...found, key: Buffer.from(found.key).toString("hex"), doc: Buffer.from(found.doc).toString("hex") };
};

test("an event of any content is the same from BSON, canonical, legacy and wrapped JSON", () => {
  fc.assert(
    fc.property(anyEvent, (fields) => {
      const tree = object(...fields);
      const truth = bodies(decode(record(encode(fields))));
      const json = canonical(tree);
      assert.deepEqual(bodies(decode(record(json))), truth);
      assert.deepEqual(bodies(decode(record(JSON.stringify(json)))), truth);
      assert.deepEqual(bodies(decode(record(`{"schema":{"type":"string"},"payload":${JSON.stringify(json)}}`))), truth);
      assert.deepEqual(bodies(decode(record(JSON.stringify(encode(fields).toString("base64"))))), truth);
      if (survivesLegacy(tree)) assert.deepEqual(bodies(decode(record(legacy(tree)))), truth);
    }),
    { numRuns: 200 },
  );
});

const mutate = (bytes: Buffer, changes: readonly (readonly [number, number, number])[]): Buffer => {
  let result = Buffer.from(bytes);
  for (const [how, at, byte] of changes) {
    const where = result.length === 0 ? 0 : at % result.length;
    if (how === 0) result[where] = byte;
    else if (how === 1) result = Buffer.concat([result.subarray(0, where), result.subarray(where + 1)]);
    else if (how === 2) result = Buffer.concat([result.subarray(0, where), Buffer.of(byte), result.subarray(where)]);
    else result = result.subarray(0, where);
  }
  return result;
};

test("a mutated record is an event or poison, never an exception", () => {
  const forms = [
    (fields: Fields) => encode(fields),
    (fields: Fields) => Buffer.from(canonical(object(...fields))),
    (fields: Fields) => Buffer.from(legacy(object(...fields))),
    (fields: Fields) => Buffer.from(`{"schema":null,"payload":${JSON.stringify(canonical(object(...fields)))}}`),
    (fields: Fields) => Buffer.from(JSON.stringify(encode(fields).toString("base64"))),
  ];
  const change = fc.tuple(fc.nat({ max: 3 }), fc.nat(), fc.nat({ max: 255 }));
  const changes = fc.array(change, { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(anyEvent, fc.nat({ max: 4 }), changes, changes, (fields, form, onValue, onKey) => {
      const value = mutate((forms[form] ?? encode)(fields), onValue);
      const id = mutate((forms[form] ?? encode)([fields[5] ?? ["_id", int(1)]]), onKey);
      const decoded = decode(record(value, id));
      assert.ok(decoded.poison === undefined ? decoded.event : decoded.poison.endsWith("."), String(decoded.poison));
    }),
    { numRuns: 2000 },
  );
});
