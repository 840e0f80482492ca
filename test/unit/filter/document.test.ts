import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { BSON, type Document } from "bson";
import fc from "fast-check";
import { DocumentFilter } from "#filter/document.ts";
import { compileRules, type FieldRules } from "#filter/rules.ts";

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

test("a renamed field keeps its place, and a field that bears the new name already is left out", () => {
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

test("rules that contradict each other, or touch _id, are refused with a sentence", () => {
  const refused = (rules: FieldRules, sentence: RegExp): void => assert.throws(() => compileRules(rules), sentence);
  refused({ deny: ["_id"] }, /_id would break the documents' identity/);
  refused({ rename: { "_id.a": "b" } }, /_id/);
  refused({ allow: ["a"], deny: ["a"] }, /"a" is allowed and denied/);
  refused({ allow: ["a..b"] }, /is no path/);
  refused({ deny: ["orders.0.sku"] }, /array index/);
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
        const result = at === "_id" ? item : reference(item, at, rules, false);
        return result === undefined ? [] : [[name, result]];
      }),
    );
  if (kept) return value;
  return inArray ? null : undefined;
};

test("random rules on random documents do what the plain model says, byte for byte", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
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
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("."));
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
