import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { asOfNow, fileOf, readOneLine } from "#base/config/textFile.ts";
import { tempFolder } from "../../../harness/folders.ts";

test("a line is as its file has it now, and as last read while the file has none to give", () => {
  using folder = tempFolder();
  const file = join(folder.path, "uri");
  writeFileSync(file, "first\n");
  const line = readOneLine(file, "--source-file");
  assert.equal(fileOf(line), file);
  assert.equal(asOfNow(line), "first");
  writeFileSync(file, "second\n");
  assert.equal(asOfNow(line), "second");
  assert.equal(readOneLine(file, "--source-file"), "second");
  for (const torn of ["", "two\nlines\n"]) {
    writeFileSync(file, torn);
    assert.equal(asOfNow(line), "second");
  }
  rmSync(file);
  assert.equal(asOfNow(line), "second");
  assert.equal(asOfNow("from the environment"), "from the environment");
});
