import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { release } from "../../../docs/changelog.ts";

test("fragments become sections by kind, in the order of their names", () => {
  const fragments = new Map([
    ["b.fix.md", "two\nlines\n"],
    ["a.fix.md", "one"],
    ["c.feature.md", "new"],
  ]);
  assert.equal(
    release("1.2.3", "2026-01-02", fragments),
    "## 1.2.3 (2026-01-02)\n\n### New\n\n- new\n\n### Fixed\n\n- one\n- two\n  lines\n",
  );
});

test("a name without a kind is refused, and every fragment of the repository has one", () => {
  assert.throws(() => release("1.0.0", "2026-01-02", new Map([["a.md", ""]])), /a\.md: name it/);
  const names = readdirSync("changelog.d");
  release("1.0.0", "2026-01-02", new Map(names.map((name) => [name, readFileSync(join("changelog.d", name), "utf8")])));
});
