import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "#base/config/configFile.ts";
import { resolveSettings, type SettingFlags } from "#base/config/settings.ts";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { openMongo } from "#io/mongo/connect.ts";
import { parseWorkerOptions } from "../../../../src/surface/cli/workerFlags.ts";
import { tempFolder } from "../../../harness/folders.ts";

type Mistake = readonly [what: string, take: () => unknown, says: RegExp, code?: ErrorCode];

/** How commands end with the same mistakes: test/integration/bad-input.test.ts. */
const refusesEach = (mistakes: readonly Mistake[]): void => {
  for (const [what, take, says, code = "FERRY_USAGE"] of mistakes)
    assert.throws(
      take,
      (error) => isFerry(error, code) && says.test(`${error.detail}\n${error.entry.hint}`),
      `${what}: ${says}`,
    );
};

test("an error in a URI is reported before anything connects", () => {
  using folder = tempFolder();
  const plain = join(folder.path, "plain");
  writeFileSync(plain, "x");
  const uri = (what: string, text: string, says: RegExp, code: ErrorCode = "FERRY_URI"): Mistake => [
    what,
    () => openMongo(text, { appName: "test" }),
    says,
    code,
  ];
  const tls = (what: string, options: string, says: RegExp): Mistake =>
    uri(what, `mongodb://127.0.0.1:1/?tls=true&${options}`, says, "FERRY_TLS_FILE");
  refusesEach([
    uri("a password that is not encoded", "mongodb://ferry:p@ss:w/rd%1@localhost/", /percent-encoded.*\n.*%40/),
    uri("another scheme", "http://127.0.0.1:8083", /begins with mongodb:\/\/ or mongodb\+srv:\/\//),
    uri("no host", "mongodb://", /host list/),
    uri("a port that is none", "mongodb://127.0.0.1:99999/", /99999/),
    uri("an unknown option", "mongodb://127.0.0.1:1/?relicaSet=x", /option relicaSet; did you mean replicaSet/),
    uri("a space", "mongodb://127.0.0.1:1/?appName=a b", /a space or a line end/),
    tls("no CA file", "tlsCAFile=/nowhere/ca.pem", /tlsCAFile \/nowhere\/ca.pem: there is no/),
    tls("a folder as CA file", `tlsCAFile=${folder.path}`, /tlsCAFile .*: it is a folder/),
    tls("garbage as CA file", `tlsCAFile=${plain}`, /tlsCAFile .*: it cannot be used/),
    tls("garbage as key", `tlsCertificateKeyFile=${plain}`, /KeyFile .*: it cannot be/),
  ]);
});

test("what is wrong with a flag, a file or the environment is one sentence that names it", () => {
  using folder = tempFolder();
  const file = (name: string, text: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  };
  const settings = (flags: SettingFlags, env: NodeJS.ProcessEnv = {}) => {
    return () => resolveSettings(flags, ["source"], { FERRY_HOME: folder.path, ...env });
  };
  const routes = (name: string, mask: string) => () =>
    parseConfig(`routes: [{ from: a.b, to: { mongodb: a.c }, fields: { mask: { x: { ${mask} } } } }]`, name);
  const plain = file("plain", "x");
  refusesEach([
    ["an empty variable", settings({}, { FERRY_SOURCE: "" }), /FERRY_SOURCE is empty/],
    ["no file", settings({ sourceFile: "/nowhere" }), /--source-file \/nowhere: there is no such file/],
    ["a folder as file", settings({ sourceFile: folder.path }), /--source-file .*: it is a folder/],
    ["an empty file", settings({ sourceFile: file("empty", "\n") }), /--source-file .*: it is empty/],
    ["several lines", settings({ sourceFile: file("two", "a\nb\n") }), /--source-file .*: it has more than one line/],
    ["both forms", settings({ source: "mongodb://a", sourceFile: plain }), /--source and --source-file are both given/],
    ["kafka port", settings({ source: "x", kafka: "127.0.0.1:port" }), /kafka is invalid: .*host:port/],
    ["kafka URL", settings({ source: "x", kafka: "http://127.0.0.1:1" }), /kafka is invalid/],
    ["state-db", settings({ source: "x", stateDb: "a.b" }), /stateDb is invalid/],
    ["state-db of the server", settings({ source: "x", stateDb: "admin" }), /stateDb is invalid/],
    ["metrics without a port", settings({ source: "x", metrics: "127.0.0.1" }), /metrics is invalid: .*HOST:PORT/],
    [
      "conflict merg",
      () => parseWorkerOptions({ conflict: "merg" }),
      /--conflict must be one of refuse, mirror, merge, keep-target/,
    ],
    ["on-error x", () => parseWorkerOptions({ onError: "x" }), /--on-error must be one of dead-letter, stop/],
    ["lease-ms", () => parseWorkerOptions({ leaseMs: "1" }), /--lease-ms must be .*from 500 to/],
    [
      "keepLast -1",
      routes("negative.yaml", "keepLast: -1"),
      /routes\[0\].fields.mask.x.keepLast must be >= 0/,
      "FERRY_CONFIG",
    ],
    [
      "no key of any mask",
      routes("unknown.yaml", "keepLst: 1"),
      /unknown key "keepLst"; did you mean "keepLast"/,
      "FERRY_CONFIG",
    ],
  ]);
});
