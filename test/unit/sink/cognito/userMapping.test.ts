import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, type Document, Int32, Long, ObjectId, UUID } from "bson";
import { isFerry } from "#base/errors/ferryError.ts";
import { poolFlaws, poolRulesOf } from "#sink/cognito/poolRules.ts";
import { UserMapping, wantedHash } from "#sink/cognito/userMapping.ts";
import { poolDescription } from "../../../harness/cognito/poolDescription.ts";

const POOL = poolRulesOf(poolDescription());

const map = (document: Document, attributes: Record<string, string>, more: Document = {}): Record<string, string> => {
  const mapping = new UserMapping({ username: "_id", attributes, ...more });
  return Object.fromEntries(mapping.user(BSON.serialize({ _id: "u", ...document }), POOL).attributes);
};

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (isFerry(error)) return error.message;
    throw error;
  }
  return assert.fail("nothing was refused");
};

test("values of every type that has a text become attributes, by the type of the attribute", () => {
  const at = new Date("2026-11-30T03:04:05.678Z");
  const id = new ObjectId();
  const uuid = new UUID();
  const cases: [value: unknown, attribute: string, text: string][] = [
    ["Ann", "given_name", "Ann"],
    [new Int32(3), "custom:seats", "3"],
    [Long.fromNumber(3), "custom:seats", "3"],
    [Decimal128.fromString("3"), "custom:seats", "3"],
    [2.5, "given_name", "2.5"],
    [true, "custom:admin", "true"],
    [false, "custom:admin", "false"],
    [at, "birthdate", "2026-11-30"],
    [at, "updated_at", "1796007845"],
    [at, "custom:since", "2026-11-30T03:04:05.678Z"],
    [id, "given_name", id.toHexString()],
    [uuid, "given_name", uuid.toString()],
  ];
  for (const [value, attribute, text] of cases)
    assert.deepEqual(map({ v: value }, { [attribute]: "v" }), { [attribute]: text });
});

test("missing values, null and empty texts are no attributes", () => {
  for (const document of [{}, { v: null }, { v: "" }, { o: 1 }]) {
    assert.deepEqual(map(document, { given_name: "v" }), {});
    assert.deepEqual(map(document, { given_name: "o.v" }), {});
  }
  assert.deepEqual(map({ o: { v: "x" } }, { given_name: "o.v" }), { given_name: "x" });
  assert.deepEqual(map({ "o.v": "x" }, { given_name: "o\\.v" }), { given_name: "x" });
});

test("an e-mail address comes with email_verified, unless the route has a path for that", () => {
  const document = { email: "a@b.example", checked: false };
  assert.deepEqual(map(document, { email: "email" }), { email: "a@b.example", email_verified: "true" });
  const both = { email: "email", email_verified: "checked" };
  assert.deepEqual(map(document, both), { email: "a@b.example", email_verified: "false" });
  assert.deepEqual(map({}, { email: "email" }), {});
});

test("what the pool would refuse is refused before a call, with the attribute's name and without the value", () => {
  const cases: [value: unknown, attribute: string, sentence: RegExp][] = [
    ["secret@@", "email", /email is not an e-mail address/],
    ["0170", "phone_number", /phone_number is not a phone number/],
    ["123456789", "custom:plan", /custom:plan has 9 characters, and may have 8/],
    [11, "custom:seats", /custom:seats is not between 1 and 10/],
    ["many", "custom:seats", /custom:seats is not a number/],
    ["yes", "custom:admin", /custom:admin is neither true nor false/],
    ["30.11.2026", "birthdate", /birthdate is not a day/],
    ["someday", "custom:since", /custom:since is not a date/],
    [{ a: 1 }, "given_name", /given_name cannot be set: a value of type object has no text/],
    ["x", "custom:none", /custom:none is no attribute of the pool/],
  ];
  for (const [value, attribute, sentence] of cases) {
    const message = refusal(() => map({ v: value }, { [attribute]: "v" }));
    assert.match(message, /^FERRY_COGNITO_REJECTED/);
    assert.match(message, sentence);
    if (typeof value === "string" && value !== "x") assert.ok(!message.includes(value), message);
  }
});

test("an attribute that the pool requires must have a value", () => {
  const schema = poolDescription().SchemaAttributes?.map((one) => ({ ...one, Required: one.Name === "given_name" }));
  const strict = poolRulesOf(poolDescription({ SchemaAttributes: schema ?? [] }));
  const mapping = new UserMapping({ username: "_id", attributes: { given_name: "v" } });
  assert.match(
    refusal(() => mapping.user(BSON.serialize({ _id: "u" }), strict)),
    /given_name is required by the pool/,
  );
});

test("a username is a path, or a template of paths", () => {
  const usernameOf = (username: string, document: Document, pool = POOL): string =>
    new UserMapping({ username, attributes: { given_name: "x" } }).user(BSON.serialize(document), pool).username;
  assert.equal(usernameOf("_id", { _id: 7 }), "7");
  assert.equal(usernameOf("user-{_id}.{o.n}", { _id: 7, o: { n: "x" } }), "user-7.x");
  assert.equal(usernameOf("n", { _id: 7, n: "Ann" }), "ann", "Cognito's pools know no case by default");
  const sensitive = poolRulesOf(poolDescription({ UsernameConfiguration: { CaseSensitive: true } }));
  assert.equal(usernameOf("n", { _id: 7, n: "Ann" }, sensitive), "Ann");
  assert.match(
    refusal(() => usernameOf("n", { _id: 7 })),
    /username cannot be made: the document has no n/,
  );
  assert.match(
    refusal(() => usernameOf("n", { _id: 7, n: "a b" })),
    /username has a character/,
  );
  assert.match(
    refusal(() => usernameOf("n", { _id: 7, n: "a".repeat(129) })),
    /username has 129 characters/,
  );
  assert.match(
    refusal(() => usernameOf("{n", { _id: 7 })),
    /^FERRY_CONFIG: username: "\{n" has a brace/,
  );
});

test("a user is enabled unless its document says otherwise", () => {
  const mapping = new UserMapping({ username: "_id", attributes: { given_name: "x" }, enabled: "active" });
  const isEnabled = (document: Document): boolean =>
    mapping.user(BSON.serialize({ _id: 1, ...document }), POOL).enabled;
  assert.deepEqual([{}, { active: null }, { active: true }, { active: false }].map(isEnabled), [
    true,
    true,
    true,
    false,
  ]);
  assert.match(
    refusal(() => isEnabled({ active: "no" })),
    /enabled is neither true nor false: string/,
  );
});

test("a password that the pool would refuse is refused before any call, in a sentence that does not show it", () => {
  const pool = poolRulesOf(
    poolDescription({
      Policies: {
        PasswordPolicy: { MinimumLength: 8, RequireUppercase: true, RequireNumbers: true, RequireSymbols: true },
      },
    }),
  );
  const mapping = new UserMapping({ username: "_id", attributes: { email: "email" }, password: "pw" });
  const of = (pw?: unknown) =>
    mapping.user(BSON.serialize({ _id: "u", ...(pw === undefined ? {} : { pw }) }), pool).password;
  assert.deepEqual([of(), of(null), of("Good pass 1")], [undefined, undefined, "Good pass 1"]);
  for (const [pw, flaw] of [
    ["Sh0rt-x", "password must have 8 to 256 characters"],
    ["onlylowercase", "password lacks an upper-case letter and a digit and a symbol"],
    [" Passw0rd-x", "password begins or ends with a space"],
    [{ a: "hidden" }, "password cannot be set"],
  ] as const) {
    const said = refusal(() => of(pw));
    assert.ok(said.includes(flaw), said);
    if (typeof pw === "string") assert.ok(!said.includes(pw.trim()), "it does not show it");
  }
  assert.equal(
    new UserMapping({ username: "_id", attributes: {}, password: "none" }).user(
      BSON.serialize({ _id: "u", none: "x" }),
      pool,
    ).password,
    undefined,
  );
});

test("the hash follows what Cognito keeps, and nothing else", () => {
  const mapping = new UserMapping({ username: "_id", attributes: { given_name: "a", "custom:plan": "p" } });
  const hash = (document: Document): string => wantedHash(mapping.user(BSON.serialize({ _id: 1, ...document }), POOL));
  assert.equal(hash({ a: "x", other: 1 }), hash({ other: 2, a: "x" }));
  assert.notEqual(hash({ a: "x" }), hash({ a: "y" }));
  assert.notEqual(hash({ a: "x" }), hash({ p: "x" }));
});

test("a pool that cannot take a route's users is told why, in one sentence for each reason", () => {
  const place = {
    userPoolId: "eu-west-1_a",
    username: "_id",
    attributes: { email: "email", "custom:rank": "r", sub: "s" },
  };
  const required = { Name: "given_name", AttributeDataType: "String", Required: true } as const;
  const rules = poolRulesOf({
    UsernameAttributes: ["email"],
    SchemaAttributes: [
      ...(poolDescription().SchemaAttributes ?? []).filter(({ Name }) => Name !== "given_name"),
      required,
    ],
  });
  assert.deepEqual(poolFlaws(rules, place), [
    "its users have no username but email; a route needs a pool with usernames",
    "it has no attribute custom:rank (`ferry check --create-attributes` adds custom ones)",
    "sub is Cognito's own, and cannot be written",
    "it requires given_name, which the route's attributes do not name",
  ]);
  assert.deepEqual(poolFlaws(POOL, { ...place, attributes: { email: "email" } }), []);
});
