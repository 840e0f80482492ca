import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { openMongo } from "#io/mongo/connect.ts";
import { tempFolder } from "../../../harness/folders.ts";
import { type Mistake, refusesEach } from "../../../harness/mistakes.ts";

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
