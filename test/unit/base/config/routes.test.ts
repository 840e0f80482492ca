import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#base/config/configFile.ts";

const routes = (text: string) => parseConfig(text, "ferry.yaml").routes ?? [];

test("a route is named by what it carries", () => {
  const [users, slim, named, short] = routes(`
routes:
  - from: test.users
  - from: test.users
    to: { mongodb: shop.members }
    fields: { allow: [email, address.zip], rename: { email: mail } }
    where: { active: true }
  - name: archive
    from: test.orders
    to: { mongodb: archive.orders.2024 }
  - from: test.log
    to: archive.log
`);
  assert.deepEqual([users?.name, users?.to], ["test.users", { mongodb: "test.users" }]);
  assert.deepEqual(
    [slim?.name, slim?.to, slim?.where],
    ["test.users>shop.members", { mongodb: "shop.members" }, { active: true }],
  );
  assert.deepEqual([named?.name, named?.to], ["archive", { mongodb: "archive.orders.2024" }]);
  assert.deepEqual([short?.name, short?.to], ["test.log>archive.log", { mongodb: "archive.log" }]);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  [
    "routes:\n  - from: test.users\n    feilds: {}\n",
    /ferry\.yaml: routes\[0\]: unknown key "feilds"; did you mean "fields"\?/,
  ],
  [
    "routes:\n  - from: test.users\n    fields: { alow: [a] }\n",
    /routes\[0\]\.fields: unknown key "alow"; did you mean "allow"\?/,
  ],
  ["route: []\n", /unknown key "route"; did you mean "routes"\?/],
  ["routes:\n  - from: users\n", /routes\[0\]\.from is invalid: Source namespace, `db\.collection`/],
  ["routes:\n  - from: test.system.views\n", /routes\[0\]\.from is invalid: .*`system\.\*`/],
  ["routes:\n  - { from: a.b, allow: [c] }\n", /routes\[0\]: unknown key "allow"; it belongs into "fields"/],
  [
    "routes:\n  - { from: a.b, conflict: merged }\n",
    /routes\[0\]\.conflict must be one of mirror, merge, keep-target$/,
  ],
  [
    "routes:\n  - { from: a.b, drift: { newField: drop } }\n",
    /routes\[0\]\.drift\.newField must be one of pass, drop-and-report, hold, stop$/,
  ],
  [
    "routes:\n  - { from: a.b, fields: { mask: { c: { keepLas: 4 } } } }\n",
    /routes\[0\]\.fields\.mask\.c: unknown key "keepLas"; did you mean "keepLast"\?/,
  ],
  [
    "routes:\n  - { from: a.b, fields: { mask: { c: { sha256: { salt: x } } } } }\n",
    /mask\.c\.sha256: unknown key "salt"; known are saltEnv/,
  ],
  ["routes:\n  - { from: a.b }\n  - { from: a.b }\n", /two routes are called a\.b/],
  [
    "routes:\n  - { from: a.b, to: { mongodb: x.y } }\n  - { from: a.c, to: { mongodb: x.y } }\n",
    /two routes write to x\.y/,
  ],
  ["routes:\n  - { from: a.b, to: x.y }\n  - { from: a.c, to: { mongodb: x.y } }\n", /two routes write to x\.y/],
  ...["admin.x", "local.x", "config.x", "x.system.views"].flatMap((name): [string, RegExp][] => [
    [
      `routes:\n  - { from: a.b, to: ${name} }\n`,
      /routes\[0\]\.to is invalid: Target namespace.*none of the server's own/,
    ],
    [`routes:\n  - { from: ${name} }\n`, /routes\[0\]\.from is invalid: Source namespace.*none of the server's own/],
  ]),
  ["routes:\n  - { from: a.b, to: xy }\n", /routes\[0\]\.to is invalid: Target namespace, `db\.collection`/],
  [
    "routes:\n  - { from: a.b, to: { mongo: x.y } }\n",
    /routes\[0\]\.to: unknown key "mongo"; did you mean "mongodb"\?/,
  ],
  ["routes:\n  - { from: a.b, conflict: merge, drift: { depth: 0 } }\n", /route a\.b: merge needs the drift ledger/],
  ["routes: [\n", /not valid YAML/],
  [
    `a: &a [x]\n${"bcdefghij".replace(/./g, (one) => `${one}: &${one} [${Array(9).fill(`*${String.fromCharCode(one.charCodeAt(0) - 1)}`)}]\n`)}`,
    /Excessive alias count/,
  ],
  ["routes:\n  - { from: a.b, where: { n: !long 5 } }\n", /not valid YAML: Unresolved tag: !long/],
  ["routes:\n  - { from: 'gl.*' }\n", /route gl\.\*: gl\.\* is not one namespace; a route has no globs/],
  ["routes:\n  - { from: a.b, to: { mongodb: 'a.?' } }\n", /a\.\? is not one namespace/],
  [
    "routes:\n  - { from: a.b, fields: { mask: { c: { keepLast: -1 } } } }\n",
    /routes\[0\]\.fields\.mask\.c\.keepLast must be >= 0$/,
  ],
  ["routes:\n  - { from: a.b, fields: { mask: { c: { keepLast: 1.5 } } } }\n", /mask\.c\.keepLast must be integer$/],
  [
    "routes:\n  - { from: a.b, fields: { mask: { c: { text: x, keepLast: 1 } } } }\n",
    /mask\.c needs one of sha256, text, keepLast$/,
  ],
  ["routes:\n  - { from: a.b, fields: { mask: { c: {} } } }\n", /mask\.c needs one of sha256, text, keepLast$/],
  ["", /ferry\.yaml: /],
];

test("an error is one sentence that names the setting", () => {
  for (const [text, sentence] of WRONG) assert.throws(() => routes(text), sentence, text);
});
