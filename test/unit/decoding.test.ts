import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/**
 * Whatever came from a server goes back to a server as the bytes it was; decoding is for inspection (docs/20-wire.md). So no file
 * decodes, but for these, each with the reason why nothing of it is sent to a server.
 */
const DECODERS: Readonly<Record<string, string>> = {
  "apply/plan/patch.ts": "paths and sizes of a delta; a path that is no UTF-8 makes the delta unclear",
  "source/connector/connectorConfig.ts": "the operator's own text: a pipeline in a connector's configuration",
  "source/stream/resumeToken.ts": "Connect's text of a token, which holds text and binary values alone",
  "route/filter/filterDelta.ts": "paths and sizes of a delta; a path that is no UTF-8 makes the delta unclear",
  "io/mongo/topologyVersion.ts": "the driver's own field of an error, which it compares itself",
  "io/mongo/failedRule.ts": "which rule of a validator a document broke, for a sentence",
  "apply/barrier/ddlPolicy.ts": "what a change of structure says of itself, for the journal",
  "tools/stack/mongoCommand.ts": "answers of a server of ferry's own stack",
  "structure/model/model.ts": "records of an older ferry, which kept text alone",
  "sink/cognito/attributeText.ts": "attributes of a Cognito user are text; none of it goes to a MongoDB server",
  "io/wire/keyText.ts": "single values, to be spelled as the Java driver does it",
};

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

test("values of a server are decoded where they are looked at, and nowhere else", () => {
  const decoding = files.filter((file) =>
    /\bdeserialize\(|\bEJSON\.(parse|deserialize)\(/.test(readFileSync(join("src", file), "utf8")),
  );
  assert.deepEqual(decoding.sort(), Object.keys(DECODERS).sort());
});

test("no code asks of which class a BSON value is: the driver's values are of its own copy of the library", () => {
  const asking =
    /instanceof (Binary|UUID|Long|Timestamp|ObjectId|Decimal128|Double|Int32|MinKey|MaxKey)\b|\.toUUID\(\)/;
  assert.deepEqual(
    files.filter((file) => asking.test(readFileSync(join("src", file), "utf8"))),
    [],
  );
});
