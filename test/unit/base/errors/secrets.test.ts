import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FerryError } from "#base/errors/ferryError.ts";
import { holdsSecret, shownUri, valueWithoutSecrets, withoutSecrets } from "#base/errors/secrets.ts";

/** Nothing that a host, a path or a sentence of these tests also holds. */
const SECRET = "Zq7";
/** Odd passwords: the secret between and around every character that ends a part of a URI. */
const password = fc
  .array(fc.constantFrom(..."@/:?#%[]&=+,;!$'\"<>{}|\\^`~ .%40ä".split(""), "://", "%zz", "@h:1/"), { maxLength: 8 })
  .map((parts) => `${SECRET}${parts.map((part) => part + SECRET).join("")}`);
const uri = fc
  .tuple(
    fc.constantFrom("mongodb://", "mongodb+srv://", "http://", "https://"),
    fc.constantFrom("ferry", SECRET, ""),
    password,
    fc.constantFrom("host", "127.0.0.1:27017", "a.b:1,c.d:2", "[::1]:27017"),
    fc.constantFrom("", "/", "/admin", "/?authSource=admin", `/db?tlsCertificateKeyFilePassword=${SECRET}`),
  )
  .map(([scheme, user, secret, hosts, tail]) => ({ hosts, text: `${scheme}${user}:${secret}@${hosts}${tail}` }));

test("of a URI with any password nothing of it is shown, and its hosts are", () => {
  fc.assert(
    fc.property(uri, ({ text, hosts }) => {
      assert.ok(!shownUri(text).includes(SECRET), shownUri(text));
      assert.match(shownUri(text), new RegExp(`^\\w[\\w+]*://${hosts.replace(/[[\].]/g, "\\$&")}`));
      assert.ok(holdsSecret(text));
    }),
    { numRuns: 2000 },
  );
});

/** A space ends a URI in a sentence; ferry refuses a URI with one where it is given, so that none gets into a sentence. */
const uriInSentence = uri.filter(({ text }) => !text.includes(" "));

test("a sentence, a trace and a value with a URI in it show nothing of its password", () => {
  const around = fc.constantFrom("", "connecting to ", "(", '"', "Invalid value ", "a: ");
  fc.assert(
    fc.property(around, uriInSentence, around, uriInSentence, (before, one, between, other) => {
      const sentence = `${before}${one.text}: refused\n    at ${between}${other.text}`;
      assert.ok(!withoutSecrets(sentence).includes(SECRET), withoutSecrets(sentence));
      const value = { list: [sentence, 1], nested: { sentence } };
      assert.ok(!JSON.stringify(valueWithoutSecrets(value)).includes(SECRET));
      const error = new FerryError("FERRY_URI", sentence, { facts: value });
      assert.ok(![error.message, error.detail, error.stack, JSON.stringify(error.facts)].join().includes(SECRET));
    }),
    { numRuns: 2000 },
  );
});

test("what holds no secret stays as it is", () => {
  for (const text of [
    "mongodb://127.0.0.1:27017,[::1]:2/admin: connection refused",
    "GET http://127.0.0.1:8083/connectors/a.b: no such connector (404)",
    "it begins with mongodb:// or mongodb+srv://",
    "a document of user@example.com, and no URI",
  ])
    assert.equal(withoutSecrets(text), text);
  assert.equal(shownUri("mongodb://host/db"), "mongodb://host/db");
  assert.equal(shownUri("ferry:secret@host"), "host");
  assert.ok(!holdsSecret("mongodb://x509user@host/?authMechanism=MONGODB-X509"));
  const at = new Date(0);
  assert.deepEqual(valueWithoutSecrets({ at, n: 1n, no: null }), { at, n: 1n, no: null });
});
