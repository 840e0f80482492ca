import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { BSON, BSONSymbol, Decimal128, type Document, Double, Long } from "bson";
import fc from "fast-check";
import { BsonType, find } from "#base/bson/walk.ts";
import { DocumentFilter } from "#route/filter/document.ts";
import { compileRules, type FieldRules } from "#route/filter/rules.ts";
import { anyFields, encode, type Value } from "../../base/bson/arbitrary.ts";

const KEEP = { promoteValues: false, bsonRegExp: true } as const;

const filtered = (rules: FieldRules, doc: Document): Document =>
  BSON.deserialize(new DocumentFilter(compileRules(rules)).apply(BSON.serialize(doc)));

/** Compares order as well. */
const same = (actual: Document, expected: Document): void =>
  assert.equal(JSON.stringify(actual), JSON.stringify(expected));

const USER = {
  _id: 7,
  firstname: "Ada",
  lastname: "Lovelace",
  email: "ada@example.com",
  address: { street: "St James's Square", zip: "SW1", geo: { lat: 51.5, lon: -0.1 } },
  orders: [{ sku: "a", price: 1 }, { sku: "b", price: 2, notes: [{ by: "x", text: "y" }] }, 5],
  phone: 447123456,
};

test("an allow-list writes what it names and _id, in the document's own order", () => {
  same(filtered({ allow: ["email", "firstname"] }, USER), { _id: 7, firstname: "Ada", email: "ada@example.com" });
  same(filtered({ allow: ["_id"] }, USER), { _id: 7 });
  same(filtered({ allow: ["address.geo.lat", "orders.sku"] }, USER), {
    _id: 7,
    address: { geo: { lat: 51.5 } },
    orders: [{ sku: "a" }, { sku: "b" }, null],
  });
});

test("a deny-list leaves out what it names, through arrays and at any depth", () => {
  const { phone: _phone, ...rest } = USER;
  same(filtered({ deny: ["phone"] }, USER), rest);
  same(filtered({ deny: ["orders.notes.text", "address.geo", "firstname", "lastname", "email", "phone"] }, USER), {
    _id: 7,
    address: { street: "St James's Square", zip: "SW1" },
    orders: [{ sku: "a", price: 1 }, { sku: "b", price: 2, notes: [{ by: "x" }] }, 5],
  });
});

test("the most specific rule wins", () => {
  same(filtered({ allow: ["address"], deny: ["address.geo"] }, USER), {
    _id: 7,
    address: { street: "St James's Square", zip: "SW1" },
  });
  same(
    filtered({ deny: ["address", "orders", "firstname", "lastname", "phone"], allow: ["address.zip", "email"] }, USER),
    {
      _id: 7,
      email: "ada@example.com",
      address: { zip: "SW1" },
    },
  );
});

test("a renamed field keeps its place, and a field that already has the new name is left out", () => {
  same(
    filtered({ allow: ["firstname", "address.zip"], rename: { firstname: "given", "address.zip": "postcode" } }, USER),
    {
      _id: 7,
      given: "Ada",
      address: { postcode: "SW1" },
    },
  );
  same(filtered({ rename: { a: "b" } }, { _id: 1, b: "old", a: "new", c: 1 }), { _id: 1, b: "new", c: 1 });
  same(filtered({ rename: { a: "b", b: "a" } }, { _id: 1, a: 1, b: 2 }), { _id: 1, b: 1, a: 2 });
});

test("masks: salted hash, fixed text, last characters; null stays, documents keep their shape", () => {
  process.env["FERRY_TEST_SALT"] = "a secret of the test";
  const hash = createHmac("sha256", "a secret of the test").update("ada@example.com").digest("hex");
  const masked = filtered(
    {
      allow: ["email", "phone", "lastname", "address"],
      mask: {
        email: { sha256: { saltEnv: "FERRY_TEST_SALT" } },
        phone: { keepLast: 4 },
        lastname: { text: "-" },
        "address.geo": { text: "hidden" },
      },
    },
    USER,
  );
  same(masked, {
    _id: 7,
    lastname: "-",
    email: hash,
    address: { street: "St James's Square", zip: "SW1", geo: { lat: "hidden", lon: "hidden" } },
    phone: "*****3456",
  });
  same(filtered({ mask: { a: { keepLast: 2 } } }, { _id: 1, a: [null, "xyz", { b: true }] }), {
    _id: 1,
    a: [null, "*yz", { b: "***" }],
  });
});

test("a rule on a path counts for a name that spells the path; an escaped dot names that name alone", () => {
  const doc = { _id: 1, a: { ssn: 1, b: 2, "c.d": 3 }, "a.ssn": 4, "a.b": { ssn: 5 }, "a.b.ssn": 6, "x.y": 7 };
  same(filtered({ deny: ["a.ssn"] }, doc), {
    _id: 1,
    a: { b: 2, "c.d": 3 },
    "a.b": { ssn: 5 },
    "a.b.ssn": 6,
    "x.y": 7,
  });
  same(filtered({ deny: ["a.b.ssn", "a.c"] }, doc), { _id: 1, a: { ssn: 1, b: 2 }, "a.ssn": 4, "a.b": {}, "x.y": 7 });
  same(filtered({ deny: ["a"] }, doc), { _id: 1, "x.y": 7 });
  same(filtered({ deny: ["a\\.ssn", "a.c\\.d", "x\\.y"] }, doc), {
    _id: 1,
    a: { ssn: 1, b: 2 },
    "a.b": { ssn: 5 },
    "a.b.ssn": 6,
  });
  same(filtered({ deny: ["a.ssn"], allow: ["a\\.ssn"] }, { _id: 1, a: { ssn: 1 }, "a.ssn": 2 }), {
    _id: 1,
    "a.ssn": 2,
  });
  same(filtered({ allow: ["a.ssn", "x"] }, doc), { _id: 1, a: { ssn: 1 } });
  same(filtered({ allow: ["a\\.ssn", "x\\.y"] }, doc), { _id: 1, "a.ssn": 4, "x.y": 7 });
  same(filtered({ allow: ["a\\.b"], mask: { "a\\.b.ssn": { text: "-" } } }, doc), { _id: 1, "a.b": { ssn: "-" } });
  const { "x.y": _xy, ...masked } = filtered({ mask: { a: { text: "-" } } }, doc);
  same(masked, { _id: 1, a: { ssn: "-", b: "-", "c.d": "-" }, "a.ssn": "-", "a.b": { ssn: "-" }, "a.b.ssn": "-" });
  same(
    filtered({ rename: { "a\\.ssn": "ssn", "a.b": "z" } }, { _id: 1, a: { b: 1 }, "a.ssn": 2, "a.b": 3, "ssn.x": 4 }),
    {
      _id: 1,
      a: { z: 1 },
      ssn: 2,
      "a.b": 3,
      "ssn.x": 4,
    },
  );
});

test("names with a dollar, of digits and with backslashes; arrays of arrays", () => {
  const doc = { _id: 1, $secret: 1, by: { "2024": { n: 1 }, $n: 2 }, "a\\b": 3, list: [[{ s: 1, t: 2 }, 5], { s: 3 }] };
  same(filtered({ deny: ["$secret", "by.$n", "by.\\2024", "a\\\\b", "list.s"] }, doc), {
    _id: 1,
    by: {},
    list: [[{ t: 2 }, 5], {}],
  });
  same(filtered({ allow: ["list.s", "by.\\2024.n"] }, doc), {
    _id: 1,
    by: { "2024": { n: 1 } },
    list: [[{ s: 1 }, null], { s: 3 }],
  });
});

test("keepLast never shows a whole value", () => {
  const shown = (count: number, v: unknown): unknown =>
    filtered({ mask: { v: { keepLast: count } } }, { _id: 1, v })["v"];
  const cases: readonly (readonly [number, unknown, unknown])[] = [
    [4, "1234", "****"],
    [4, "12345", "*2345"],
    [4, "", ""],
    [0, "abc", "***"],
    [4, " 1234", "*****"],
    [2, "0012", "****"],
    [1, -5, "**"],
    [4, 1234, "****"],
    [2, 0.5, "***"],
    [4, Long.fromString("-1234"), "*****"],
    [4, Long.fromString("9007199254740993"), "************0993"],
    [2, "😀😀ab", "****"],
    [2, "a😀😀", "*😀😀"],
  ];
  for (const [count, v, expected] of cases) assert.equal(shown(count, v), expected, `${count} of ${String(v)}`);
});

const TYPES: readonly Value["t"][] = [
  "double",
  "string",
  "binary",
  "undefined",
  "objectId",
  "boolean",
  "date",
  "null",
  "regex",
  "dbPointer",
  "code",
  "symbol",
  "scoped",
  "int32",
  "timestamp",
  "int64",
  "decimal",
  "minKey",
  "maxKey",
];

test("every mask makes text of every type, and nothing of the value is in it; null and undefined stay", () => {
  process.env["FERRY_TEST_SALT"] = "a secret of the test";
  const masks = [{ text: "-" }, { keepLast: 0 }, { sha256: { saltEnv: "FERRY_TEST_SALT" } }];
  const seen = new Set<string>();
  fc.assert(
    fc.property(anyFields, fc.constantFrom(...masks), (fields, mask) => {
      const values = fields.map(([, value]) => value).filter(({ t }) => t !== "object" && t !== "array");
      const doc = encode(values.map((value, n) => [`v${n}`, value]));
      const rules = Object.fromEntries(values.map((_, n) => [`v${n}`, mask]));
      const masked = new DocumentFilter(compileRules({ mask: rules })).apply(doc);
      for (const [n, { t }] of values.entries()) {
        const type = find(masked, `v${n}`)?.type;
        const stays = t === "null" ? BsonType.null : BsonType.undefined;
        assert.equal(type, t === "null" || t === "undefined" ? stays : BsonType.string, t);
        if ("text" in mask && type === BsonType.string) assert.equal(BSON.deserialize(masked)[`v${n}`], "-");
        seen.add(t);
      }
    }),
    { numRuns: 1500 },
  );
  assert.deepEqual([...seen].sort(), [...TYPES].sort());
});

test("a hash is one for what the server holds to be equal", () => {
  process.env["FERRY_TEST_SALT"] = "a secret of the test";
  const hash = (v: unknown): unknown =>
    filtered({ mask: { v: { sha256: { saltEnv: "FERRY_TEST_SALT" } } } }, { _id: 1, v })["v"];
  const fives = [5, new Double(5), Long.fromNumber(5), Decimal128.fromString("5.0")].map(hash);
  assert.equal(new Set(fives).size, 1);
  assert.equal(hash(new Double(-0)), hash(0));
  assert.equal(hash(new BSONSymbol("x")), hash("x"));
  assert.notEqual(hash("5"), hash(5));
});

test("rules that contradict each other, or touch _id, are refused with a sentence", () => {
  const refused = (rules: FieldRules, sentence: RegExp): void => assert.throws(() => compileRules(rules), sentence);
  refused({ deny: ["_id"] }, /_id would break the documents' identity/);
  refused({ rename: { "_id.a": "b" } }, /_id/);
  refused({ allow: ["a"], deny: ["a"] }, /"a" is allowed and denied/);
  refused({ allow: ["a..b"] }, /is not a path/);
  refused({ deny: ["orders.0.sku"] }, /array index.*Write a field with that name as \\0/);
  refused({ deny: ["a\\b"] }, /write \\\\ for a backslash/);
  refused({ deny: ["a\\"] }, /write \\\\ for a backslash/);
  refused({ deny: ["a.b."] }, /is not a path/);
  refused({ deny: ["\ud800"] }, /is not a path/);
  refused({ allow: ["a"], rename: { b: "c" } }, /rename: "b" is left out by the other rules/);
  refused({ allow: ["a"], mask: { "b.c": { text: "-" } } }, /mask: "b.c" is left out by the other rules/);
  refused({ deny: ["a"], rename: { "a.b": "c" } }, /rename: "a.b" is left out/);
  refused({ rename: { a: "b.c" } }, /last name only/);
  refused({ rename: { a: "c", b: "c" } }, /two fields would become c/);
  refused({ rename: { a: "_id" } }, /cannot become _id/);
  refused({ mask: { a: { sha256: { saltEnv: "FERRY_NOT_SET" } } } }, /FERRY_NOT_SET is not set/);
});

/** What the rules mean, said once more with plain objects. */
const reference = (value: unknown, path: string, rules: FieldRules, inArray: boolean): unknown => {
  const verdict = (p: string): boolean => {
    for (let at = p; at !== ""; at = at.includes(".") ? at.slice(0, at.lastIndexOf(".")) : "") {
      if (rules.deny?.includes(at)) return false;
      if (rules.allow?.includes(at)) return true;
    }
    return rules.allow === undefined;
  };
  const kept = path === "" ? rules.allow === undefined : verdict(path);
  const deeper = (rules.allow ?? []).some(
    (allowed) => allowed.startsWith(path === "" ? "" : `${path}.`) && verdict(allowed),
  );
  if (!kept && !deeper) return undefined;
  if (Array.isArray(value)) return value.map((item) => reference(item, path, rules, true));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, item]) => {
        const at = path === "" ? name : `${path}.${name}`;
        // An allow-list lets a name with dots through where it lets everything through: here, and wherever its first names lead.
        if (name.includes(".") && !kept) return [];
        const leads = [...name].flatMap((letter, dot) => (letter === "." ? [dot] : []));
        const first = leads
          .filter((dot) => name.includes(".", dot + 1))
          .map((dot) => at.slice(0, at.length - name.length + dot));
        if (!first.every(verdict)) return [];
        const result = at === "_id" ? item : reference(item, at, rules, false);
        return result === undefined ? [] : [[name, result]];
      }),
    );
  if (kept) return value;
  return inArray ? null : undefined;
};

test("random rules on random documents do what the plain model says, byte for byte", () => {
  const part = fc.constantFrom("a", "b", "c", "d");
  const name = fc.oneof(part, fc.constantFrom("a.b", "b.c", "a.b.c", "d."));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(1, "text", true, null, 2.5),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  const document = fc
    .dictionary(name, value, { maxKeys: 4, noNullPrototype: true })
    .map((body) => ({ _id: 1, ...(body as Document) }));
  const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("."));
  const rules = fc
    .record({
      allow: fc.option(fc.uniqueArray(path, { minLength: 1, maxLength: 4 }), { nil: undefined }),
      deny: fc.uniqueArray(path, { maxLength: 3 }),
    })
    .map(
      ({ allow, deny }): FieldRules => ({
        ...(allow === undefined ? {} : { allow }),
        deny: deny.filter((one) => !allow?.includes(one)),
      }),
    );
  fc.assert(
    fc.property(document, rules, (doc, fields) => {
      const bytes = new DocumentFilter(compileRules(fields)).apply(BSON.serialize(doc));
      assert.deepEqual(Buffer.from(bytes), Buffer.from(BSON.serialize(reference(doc, "", fields, false) as Document)));
      BSON.deserialize(bytes, KEEP);
    }),
    { numRuns: 2000 },
  );
});
