import assert from "node:assert/strict";
import { test } from "node:test";
import { stalePages } from "../../../docs/generate.ts";

test("the generated pages say what the code says", () => {
  assert.deepEqual(stalePages(), [], "run npm run docs");
});
