import assert from "node:assert/strict";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { wholeNumber } from "../../../../src/surface/cli/connections.ts";
import { parseWorkerOptions } from "../../../../src/surface/cli/workerFlags.ts";
import { refusesEach } from "../../../harness/mistakes.ts";

test("what is no whole number in its range is refused with the range", () => {
  for (const text of ["-1", "0", "NaN", "Infinity", "1.5", "1e99", "0x10", "", " ", "9".repeat(30)])
    for (const [parse, says] of [
      [() => parseWorkerOptions({ budgetMb: text }), "--budget-mb must be a whole number from 1 to 65536, not "],
      [() => wholeNumber("--readers", text, { max: 64 }), "--readers must be a whole number from 1 to 64, not "],
    ] as const)
      assert.throws(parse, (error) => isFerry(error, "FERRY_USAGE") && error.detail.startsWith(says), text);
});

test("a flag of a worker that takes one of some words, or a number in a range, names them when it refuses another", () => {
  refusesEach([
    [
      "conflict merg",
      () => parseWorkerOptions({ conflict: "merg" }),
      /--conflict must be one of refuse, mirror, merge, keep-target/,
    ],
    ["on-error x", () => parseWorkerOptions({ onError: "x" }), /--on-error must be one of dead-letter, stop/],
    ["lease-ms", () => parseWorkerOptions({ leaseMs: "1" }), /--lease-ms must be .*from 500 to/],
  ]);
});
