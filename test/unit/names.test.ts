import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

/** One name means one thing across the tree: who has read it once knows it, and a search finds one place. */

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

/** The exported names of a file; re-exports are none of its own. */
const EXPORTED =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|type|interface) +([A-Za-z_$][\w$]*)/gm;

const namesOf = (file: string): readonly string[] => [
  // A value and a type of one name are one thing, as with constants and the type of their values.
  ...new Set([...readFileSync(join("src", file), "utf8").matchAll(EXPORTED)].map(([, name = ""]) => name)),
];

const twice = (named: readonly (readonly [name: string, file: string])[]): readonly string[] =>
  [...Map.groupBy(named, ([name]) => name)]
    .filter(([, places]) => places.length > 1)
    .map(([name, places]) => `${name}: ${places.map(([, file]) => file).join(", ")}`);

test("no name is exported from two files", () => {
  assert.deepEqual(twice(files.flatMap((file) => namesOf(file).map((name) => [name, file] as const))), []);
});

/** What a room keeps in ferry's database: the room's name says of what. */
const OF_A_ROOM = ["records.ts", "store.ts"];

test("no two files have one name, but a command's file, which is called like it, and a room's store and records", () => {
  const others = files.filter(
    (file) => !file.startsWith(join("surface", "cli", "commands")) && !OF_A_ROOM.includes(basename(file)),
  );
  assert.deepEqual(twice(others.map((file) => [basename(file), file] as const)), []);
});
