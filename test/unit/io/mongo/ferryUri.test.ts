import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { openMongo } from "#io/mongo/connect.ts";
import { requireMongoUri } from "#io/mongo/uri.ts";
import { ferryUri } from "#io/mongo/uriOptions.ts";

/** What users write for their services, and ferry must not inherit. */
const SERVICES = [
  "readPreference=secondary&readPreferenceTags=lag:y&readPreferenceTags=",
  "readPreference=nearest&maxStalenessSeconds=90",
  "readConcernLevel=local",
  "w=0",
  "w=1&journal=true&wtimeoutMS=1",
  "retryWrites=false&retryReads=false",
  "maxPoolSize=1&minPoolSize=1&waitQueueTimeoutMS=10&maxConnecting=1&maxIdleTimeMS=1",
  "socketTimeoutMS=5&serverSelectionTimeoutMS=1&connectTimeoutMS=1&timeoutMS=5",
  "heartbeatFrequencyMS=60000&localThresholdMS=1&serverMonitoringMode=poll",
  "appName=shop&uuidRepresentation=standard",
];

/** Everything that the driver has decided, but for what names hosts and users. */
const settings = (uri: string): string => {
  const { hosts, credentials, ...others } = openMongo(uri, { appName: "ferry" }).options;
  const plain = Object.entries(others).filter(([, value]) => !(value instanceof Promise));
  return inspect(plain.sort(), { depth: 4 });
};

test("any set of a service's options leaves ferry's own client as it is, and each of them is named", () => {
  const plain = settings("mongodb://u:p@a:1,b:2/db?replicaSet=rs&authSource=admin&tls=true");
  for (let set = 1; set < 1 << SERVICES.length; set++) {
    const options = SERVICES.filter((_, i) => (set & (1 << i)) !== 0);
    const uri = `mongodb://u:p@a:1,b:2/db?replicaSet=rs&${options.join("&")}&authSource=admin&tls=true`;
    const { uri: followed, ignored } = ferryUri(uri);
    assert.equal(followed, "mongodb://u:p@a:1,b:2/db?replicaSet=rs&authSource=admin&tls=true");
    const names = new Set(options.flatMap((part) => part.split("&").map((one) => one.split("=")[0])));
    assert.deepEqual([...ignored], [...names]);
    if ((set & (set - 1)) === 0 || set % 97 === 0) assert.equal(settings(uri), plain, uri);
  }
});

test("how a server is reached stays as it is typed", () => {
  for (const uri of [
    "mongodb://a",
    "mongodb://a/",
    "mongodb://u:p%3F%40@a:1/db",
    "mongodb://a/?directConnection=true&compressors=zlib&zlibCompressionLevel=3&tlsCAFile=%2Fca.pem&ssl=true",
    "mongodb+srv://a.b.c/?srvMaxHosts=2&authMechanism=SCRAM-SHA-256",
    "nonsense",
  ])
    assert.deepEqual(ferryUri(uri), { uri, ignored: [] });
  assert.deepEqual(ferryUri("mongodb://a/?compressors=snappy,zlib"), {
    uri: "mongodb://a/?compressors=zlib",
    ignored: ["compressors"],
  });
  assert.deepEqual(ferryUri("mongodb://a/?compressors=zstd&w=1").uri, "mongodb://a/");
});

test("unknown options, and connections that ferry cannot use, are refused", () => {
  const refusal = (pattern: RegExp) => (error: unknown) => isFerry(error, "FERRY_URI") && pattern.test(error.detail);
  assert.throws(
    () => ferryUri("mongodb://a/?readPrefrence=secondary"),
    refusal(/readPrefrence; did you mean readPreference/),
  );
  assert.throws(() => ferryUri("mongodb://a/?promoteLongs=false"), refusal(/unknown option promoteLongs/));
  assert.throws(() => ferryUri("mongodb://a/?loadBalanced=true"), refusal(/loadBalanced=true/));
  assert.throws(() => openMongo("mongodb://u:secret@a/?nope=1", { appName: "x" }), refusal(/^(?!.*secret)/));
  for (const port of ["99999", "65536", "0", "27o17", ""])
    assert.throws(
      () => requireMongoUri(`mongodb://u:p@[::1]:27017,a:${port}/db`),
      refusal(/a port is a number from 1 to 65535/),
    );
  for (const hosts of ["a", "a:1,b:65535", "[::1]", "[::1]:27017", "%2Ftmp%2Fmongodb.sock"])
    requireMongoUri(`mongodb://${hosts}/`);
});

test("no part of a password is named, whatever character it was meant to be encoded for", () => {
  const characters = [..."@/?#[]:%&=+ ;,\\\"'"];
  for (const scheme of ["mongodb", "mongodb+srv"])
    for (const one of characters)
      for (const other of ["", ...characters]) {
        const uri = `${scheme}://user:pl4nt${one}s3cr3t${other}w0rd@db.example/?replicaSet=rs0`;
        try {
          ferryUri(uri);
        } catch (error) {
          assert.ok(error instanceof FerryError, String(error));
          assert.doesNotMatch(`${error.message} ${error.detail}`, /pl4nt|s3cr3t|w0rd/, uri);
        }
      }
});
