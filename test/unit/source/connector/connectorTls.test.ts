import assert from "node:assert/strict";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { requirePartition } from "#source/connector/connectorTls.ts";

test("a URI that only Connect can resolve needs a name for the stored position", () => {
  const reference = { "connection.uri": `\${file:/run/secrets/source.properties:uri}` };
  for (const name of [{}, { "offset.partition.name": "" }])
    assert.throws(
      () => requirePartition("shop", { ...reference, ...name }),
      (error) => isFerry(error, "FERRY_CAPTURE_UNUSABLE") && /offset\.partition\.name/.test(error.detail),
    );
  requirePartition("shop", { ...reference, "offset.partition.name": "shop-1" });
  requirePartition("shop", { "connection.uri": "mongodb://mongo-source" });
});
