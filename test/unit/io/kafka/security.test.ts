import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseProperties } from "#io/kafka/properties.ts";
import { readKafkaSecurity } from "#io/kafka/security.ts";

const folder = mkdtempSync(join(tmpdir(), "ferry-security-"));
after(() => rmSync(folder, { recursive: true }));

const file = (text: string): string => {
  const path = join(folder, "client.properties");
  writeFileSync(path, text);
  return path;
};

test("a properties file as Java reads it", () => {
  const text = [
    "# a comment",
    "! another",
    "plain=value",
    "  spaced : out  ",
    "bare word",
    "empty=",
    "alone",
    "path=C:\\\\keys\\\\ca.pem",
    "long=one, \\",
    "     two",
    "uni=\\u00e9\\t!",
    "a\\ key\\:x=1",
    "plain=last",
    "#not continued \\",
    "after=it",
  ].join("\n");
  assert.deepEqual(Object.fromEntries(parseProperties(text)), {
    plain: "last",
    spaced: "out  ",
    bare: "word",
    empty: "",
    alone: "",
    path: "C:\\keys\\ca.pem",
    long: "one, two",
    uni: "é\t!",
    "a key:x": "1",
    after: "it",
  });
});

test("no protocol is a plain connection; keys that tune Java clients mean nothing", () => {
  assert.deepEqual(readKafkaSecurity(file("request.timeout.ms=5\nclient.id=x\n")), {});
});

test("a password is read again for each connection, and may hold what JAAS quotes", () => {
  const jaas = (password: string): string =>
    file(
      `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=x.PlainLoginModule required username='u;1' password="${password}";\n`,
    );
  const { sasl } = readKafkaSecurity(jaas('a\\\\"b; c'));
  assert.ok(sasl !== undefined && typeof sasl.password === "function" && typeof sasl.username === "function");
  assert.equal(sasl.username(), "u;1");
  assert.equal(sasl.password(), 'a"b; c');
  jaas("changed");
  assert.equal(sasl.password(), "changed");
});

test("what is missing or contradicts itself is said with the key, and without the value", () => {
  const refused = (text: string, says: RegExp): void => {
    assert.throws(
      () => readKafkaSecurity(file(text)),
      ({ message }: Error) => {
        assert.match(message, says);
        assert.doesNotMatch(message, /hidden/);
        return true;
      },
    );
  };
  refused("security.protocol=TLS", /security\.protocol must be PLAINTEXT, SSL/);
  refused("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN", /sasl\.jaas\.config is missing/);
  refused(
    "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=x required username=u;",
    /sasl\.jaas\.config has no password/,
  );
  refused("security.protocol=SSL\nssl.keystore.key=hidden", /belong together/);
  refused("security.protocol=SSL\nssl.truststore.location=nowhere\nssl.truststore.type=PEM", /there is no such file/);
  refused("sasl.mechansim=hidden", /sasl\.mechansim is not known; is it sasl\.mechanism\?/);
});
