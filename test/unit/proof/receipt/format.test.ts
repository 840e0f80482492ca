import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Receipt, readReceipt } from "#proof/receipt/format.ts";
import { tempFolder } from "../../../harness/folders.ts";

const side = { from: { t: 1, i: 1 }, to: { t: 2, i: 1 }, server: "8.0.4", setName: null };
const set = { count: 3, digest: "0".repeat(64) };
const RECEIPT: Receipt = {
  ...{ ferryReceipt: 1, ferry: "0.1.0", madeAt: "2026-11-29T20:11:03.120Z", source: side, target: side },
  ...{ still: true, equal: true },
  namespaces: [
    {
      ...{ route: "a.b", from: "a.b", to: "a.b", rules: { drift: {}, conflict: "mirror" }, rulesSha256: set.digest },
      ...{ source: set, expected: set, target: set, equal: null },
    },
  ],
};

test("a receipt is read as it was written, and what is none is refused with the file's name", () => {
  using folder = tempFolder();
  const file = join(folder.path, "receipt.json");
  const read = (text: string): Receipt => {
    writeFileSync(file, text);
    return readReceipt(file);
  };
  assert.deepEqual(read(JSON.stringify(RECEIPT)), RECEIPT);
  const [namespace] = RECEIPT.namespaces;
  for (const [text, why] of [
    ["{", "not valid JSON"],
    [JSON.stringify({ ...RECEIPT, ferryReceipt: 2 }), "not a receipt of this version of ferry"],
    [JSON.stringify({ ...RECEIPT, equal: "yes" }), "not a receipt of this version of ferry"],
    // A digest that was cut short would be compared with the wrong one and never be equal.
    [
      JSON.stringify({ ...RECEIPT, namespaces: [{ ...namespace, target: { count: 3, digest: "0" } }] }),
      "not a receipt of this version of ferry",
    ],
  ] as const)
    assert.throws(() => read(text), { code: "FERRY_RECEIPT_FILE", detail: `${file}: ${why}` }, text);
  assert.throws(() => readReceipt(join(folder.path, "none")), { code: "FERRY_RECEIPT_FILE" });
});
