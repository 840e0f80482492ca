import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/** Imports point to a lower layer only; folders of one layer never import each other (docs/00-reading-path.md). */
const LAYERS: Readonly<Record<string, number>> = {
  errors: 0,
  bson: 1,
  flow: 1,
  config: 1,
  observe: 1,
  wire: 2,
  mongo: 2,
  kafka: 2,
  capture: 3,
  log: 3,
  drift: 3,
  filter: 3,
  apply: 3,
  sink: 3,
  lanes: 3,
  deadletter: 3,
  structure: 3,
  verify: 3,
  conflict: 4,
  cutover: 4,
  run: 5,
  stack: 5,
  control: 6,
  cli: 6,
};

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

test("every folder of src has a layer", () => {
  const folders = new Set(files.map((file) => file.split("/")[0] ?? ""));
  assert.deepEqual(
    [...folders].filter((folder) => !(folder in LAYERS)),
    [],
  );
});

const complaint = (folder: string, path: string): string | undefined => {
  if (path.startsWith("../") && folder !== "cli") return `${path} climbs; use #folder/file.ts`;
  if (!path.startsWith("#")) return undefined;
  const target = path.slice(1).split("/")[0] ?? "";
  if (target === folder) return `${path} is in the same folder; use ./`;
  return (LAYERS[target] ?? 99) < (LAYERS[folder] ?? -1) ? undefined : `${path} is not in a lower layer`;
};

test("imports across folders use # and point to a lower layer", () => {
  const wrong = files.flatMap((file) => {
    const text = readFileSync(join("src", file), "utf8");
    return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].flatMap(([, path = ""]) => {
      const reason = complaint(file.split("/")[0] ?? "", path);
      return reason === undefined ? [] : [`${file}: ${reason}`];
    });
  });
  assert.deepEqual(wrong, []);
});
