import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bsonText } from "#base/bson/text.ts";
import { Transcoder } from "#io/wire/json/transcode.ts";
import {
  anyFields,
  canonical,
  encode,
  type Fields,
  legacy,
  relaxed,
  survivesLegacy,
  type Value,
} from "../../../base/bson/arbitrary.ts";

const transcoder = new Transcoder();
const transcode = (text: string): string =>
  transcoder.document(Buffer.from(text))?.toString("hex") ?? transcoder.problem;

const doc = (v: Fields): Value => ({ t: "object", v });

test("canonical extended JSON becomes the bytes it stands for", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      assert.equal(transcode(canonical(doc(fields))), encode(fields).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

test("the connector's legacy JSON becomes the bytes it stands for", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      fc.pre(survivesLegacy(doc(fields)));
      assert.equal(transcode(legacy(doc(fields))), encode(fields).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

/** Relaxed JSON does not keep int64 apart from int32. */
const shrinkLongs = (value: Value): Value => {
  switch (value.t) {
    case "int64":
      return value.v === BigInt.asIntN(32, value.v) ? { t: "int32", v: Number(value.v) } : value;
    case "object":
      return { ...value, v: value.v.map(([name, item]) => [name, shrinkLongs(item)] as const) };
    case "scoped":
      return { ...value, scope: value.scope.map(([name, item]) => [name, shrinkLongs(item)] as const) };
    case "array":
      return { ...value, v: value.v.map(shrinkLongs) };
    default:
      return value;
  }
};

test("relaxed extended JSON becomes the bytes it stands for, small int64s as int32", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const shrunk = shrinkLongs(doc(fields));
      assert.ok(shrunk.t === "object");
      assert.equal(transcode(relaxed(doc(fields))), encode(shrunk.v).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

test("JSON is accepted and refused as the language's own parser does, but for bare NaN and Infinity", () => {
  const piece = fc.constantFrom(
    ...'{}[]:,"\\'.split(""),
    ...[
      "0",
      "1",
      "-",
      "-0",
      "05",
      "1.",
      ".5",
      "1e5",
      "1E+",
      "true",
      "nul",
      "null",
      " ",
      "\n",
      "\t",
      "\u0001",
      "\\u00e9",
      "\\x",
    ],
    ...[
      '"a"',
      '"$oid"',
      '"$date"',
      '"$numberInt"',
      '"$numberLong"',
      '"$scope"',
      '"$code"',
      '"5"',
      '"\\ud83d\\ude00"',
      "é",
    ],
    ...['{"$numberInt":"5"}', '{"$code":"f","$scope":{}}', '{"$date":{"$numberLong":"5"}}'],
  );
  const soup = fc.array(piece, { maxLength: 8 }).map((pieces) => `{"a":${pieces.join("")}}`);
  const cut = fc.tuple(anyFields, fc.nat(), fc.nat(), piece).map(([fields, from, length, instead]) => {
    const text = canonical(doc(fields));
    const at = from % text.length;
    return text.slice(0, at) + instead + text.slice(at + (length % 4));
  });
  fc.assert(
    fc.property(fc.oneof(soup, cut), (text) => {
      fc.pre(!/NaN|Infinity/.test(text));
      let accepted = true;
      try {
        JSON.parse(text);
        accepted = text.trimStart().startsWith("{");
      } catch {
        accepted = false;
      }
      assert.equal(transcoder.document(Buffer.from(text)) !== undefined, accepted, text);
    }),
    { numRuns: 5000 },
  );
});

/** Text → the canonical text of what it became. */
const meaning = (value: string): string => {
  const bytes = transcoder.document(Buffer.from(`{"a":${value}}`));
  return bytes === undefined ? transcoder.problem : bsonText(bytes, { canonical: true }).slice(5, -1);
};

const same = (...values: readonly string[]): void => {
  for (const value of values) assert.equal(meaning(value), values[0]);
};

test("numbers take the type that their spelling says", () => {
  same('{"$numberInt":"5"}', "5");
  same('{"$numberInt":"0"}', "-0", "0");
  same('{"$numberLong":"5000000000"}', "5000000000");
  same('{"$numberLong":"-9223372036854775808"}', "-9223372036854775808");
  same('{"$numberDouble":"9223372036854776000.0"}', "9223372036854775808");
  same('{"$numberDouble":"5.0"}', "5.0", "5e0", '{"$numberDouble":"5"}');
  same('{"$numberDouble":"-0.0"}', "-0.0");
  same('{"$numberDouble":"NaN"}', "NaN");
  same('{"$numberDouble":"-Infinity"}', "-Infinity");
});

test("wrappers are read in any order of keys, and in all their spellings", () => {
  same('{"$timestamp":{"t":1,"i":2}}', '{"$timestamp": {"i": 2, "t": 1}}');
  same('{"$timestamp":{"t":4294967295,"i":2}}', '{"$timestamp": {"t": -1, "i": 2}}');
  same('{"$code":"f","$scope":{}}', '{"$scope": {}, "$code": "f"}');
  same(
    '{"$binary":{"base64":"AQID","subType":"80"}}',
    '{"$binary":{"subType":"80","base64":"AQID"}}',
    '{"$type": "80", "$binary": "AQID"}',
  );
  same('{"$binary":{"base64":"","subType":"00"}}', '{"$binary":{"base64":"","subType":"0"}}');
  same('{"$regularExpression":{"pattern":"a","options":"i"}}', '{"$options":"i","$regex":"a"}');
  same(
    '{"$date":{"$numberLong":"-1"}}',
    '{"$date":-1}',
    '{"$date":"1969-12-31T23:59:59.999Z"}',
    '{"$date":"1970-01-01T00:59:59.999+01:00"}',
  );
  same('{"$date":{"$numberLong":"0"}}', '{"$date":"1970-01-01T00:00:00Z"}', '{"$date":"1969-12-31T23:00-0100"}');
  same(
    '{"$binary":{"base64":"yO2rw/c4TKO2jauSqRR4ow==","subType":"04"}}',
    '{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}',
  );
});

test("what only looks like a wrapper stays a subdocument", () => {
  for (const text of [
    '{"$oid":"64b0"}',
    '{"$oid":"64b00000000000000000000g"}',
    '{"$oid":"64b000000000000000000001","x":null}',
    '{"x":null,"$oid":"64b000000000000000000001"}',
    '{"$date":"yesterday"}',
    '{"$date":"2023-02-30T00:00:00Z"}',
    '{"$date":null}',
    '{"$numberLong":"9223372036854775808"}',
    '{"$numberDouble":"five"}',
    '{"$numberDecimal":"12345678901234567890123456789012345"}',
    '{"$binary":{"base64":"A","subType":"00"}}',
    '{"$binary":{"base64":"AQID","subType":"000"}}',
    '{"$binary":"AQID"}',
    '{"$type":"string"}',
    '{"$regex":"a"}',
    '{"$regex":{"$regularExpression":{"pattern":"a","options":""}},"$options":"i"}',
    '{"$timestamp":{"t":"1","i":null}}',
    '{"$code":"f","$scope":null}',
    '{"$code":"f","$scope":{},"more":null}',
    '{"$scope":{}}',
    '{"$undefined":false}',
    '{"$ref":"users","$id":{"$oid":"64b000000000000000000001"}}',
    '{"$dbPointer":{"$ref":"users","$id":"x"}}',
    '{"$set":{"a":null}}',
    '{"$":null}',
  ]) {
    assert.equal(meaning(text), text);
  }
});

test("a record that shows itself to be version 2 has no legacy wrappers", () => {
  const regex = '{"$regex":"a","$options":"i"}';
  const read = (text: string): string =>
    bsonText(transcoder.document(Buffer.from(text)) ?? assert.fail(transcoder.problem), { canonical: true });
  assert.match(read(`{"a":${regex}}`), /\$regularExpression/);
  assert.match(read(`{"at":{"$date":1},"a":${regex}}`), /\$regularExpression/);
  for (const mark of ['{"$numberInt":"1"}', '{"$date":{"$numberLong":"1"}}', '{"$date":"2024-01-01T00:00:00Z"}']) {
    assert.doesNotMatch(read(`{"a":${regex},"b":${mark}}`), /\$regularExpression/);
  }
});

test("names and order of fields survive", () => {
  const text = '{"10":null,"9":null,"__proto__":null,"a":null,"a":null,"":null,"a.b":null,"$x":null}';
  assert.equal(bsonText(transcoder.document(Buffer.from(text)) ?? Buffer.alloc(5)), text);
});

test("code with scope nested many times takes no longer than its length", () => {
  let text = '{"a":null}';
  for (let i = 0; i < 120; i++) text = `{"$code":"f","$scope":${text},"more":null}`;
  const started = performance.now();
  assert.equal(meaning(text), text);
  assert.ok(performance.now() - started < 1000);
});
