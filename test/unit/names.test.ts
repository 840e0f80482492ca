import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";

/** One name means one thing across the tree: who has read it once knows it, and a search finds one place. */

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

type Named = readonly [name: string, file: string];

/** The exported names of a file; re-exports are none of its own. */
const EXPORTED =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|type|interface) +([A-Za-z_$][\w$]*)/gm;

/** The types that a file keeps to itself, also those in the body of a function. */
const LOCAL_TYPES =
  /^ *(?:declare )?(?:abstract )?(?:class|type|interface) +([A-Za-z_$][\w$]*)(?= *[={<]| extends | implements )/gm;

const named = (pattern: RegExp): readonly Named[] =>
  files.flatMap((file) => {
    const names = [...readFileSync(join("src", file), "utf8").matchAll(pattern)].map(([, name = ""]) => name);
    // A value and a type of one name are one thing, as with constants and the type of their values.
    return [...new Set(names)].map((name): Named => [name, file]);
  });

const twice = (names: readonly Named[]): readonly string[] =>
  [...Map.groupBy(names, ([name]) => name)]
    .filter(([, places]) => places.length > 1)
    .map(([name, places]) => `${name}: ${places.map(([, file]) => file).join(", ")}`);

const exported = named(EXPORTED);

test("no name is exported from two files", () => {
  assert.deepEqual(twice(exported), []);
});

test("no two types have one name, exported or not, and none has that of a value of another file", () => {
  const types = named(LOCAL_TYPES);
  const places = new Map(exported);
  const clashes = types.filter(([name, file]) => places.has(name) && places.get(name) !== file);
  assert.deepEqual(
    clashes.map(([name, file]) => `${name}: ${file}, ${places.get(name)}`),
    [],
  );
  assert.deepEqual(twice(types), []);
});

/** A command's file is called like the command that it registers. */
const COMMANDS = join("surface", "cli", "commands");

test("no two files have one name, but a command's file, which is called like the command", () => {
  const others = files.filter((file) => dirname(file) !== COMMANDS);
  assert.deepEqual(twice(others.map((file): Named => [basename(file), file])), []);
});
