import assert from "node:assert/strict";
import { test } from "node:test";
import { CONSOLE_POLICY, consoleFile, consoleFiles } from "#surface/console/consoleFiles.ts";

const files = await consoleFiles();
const page = (await consoleFile(""))?.body.toString("utf8") ?? "";
const bytesOf = (names: readonly string[]): number =>
  names.reduce((sum, name) => sum + (files.get(name)?.body.length ?? 0), 0);

/** What the page itself names, which is loaded before anything is seen. */
const named = [...page.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map(([, name = ""]) => name);

/** Of files that are loaded when they are needed, those whose names begin so. */
const beginning = (...names: readonly string[]): string[] =>
  [...files.keys()].filter((file) => names.some((name) => file.startsWith(`${name}-`)));

test("the page has nothing inline and nothing from elsewhere, as its policy says", () => {
  assert.match(CONSOLE_POLICY, /default-src 'none'/);
  assert.doesNotMatch(CONSOLE_POLICY, /unsafe|https?:|\*/);
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=/);
  assert.deepEqual(
    [...page.matchAll(/(?:src|href)="([^"]*)"/g)]
      .map(([, path = ""]) => path)
      .filter((path) => !/^(\/console\/|data:)/.test(path)),
    [],
  );
  for (const [name, { body }] of files)
    if (name.endsWith(".css")) assert.doesNotMatch(body.toString("utf8"), /@import|url\(/, name);
});

test("every file that the page names is there, and the first view is below 300 KB", () => {
  assert.ok(named.length >= 2, page);
  for (const name of named) assert.ok(files.has(name), name);
  const bytes = page.length + bytesOf([...named, ...beginning("Overview")]);
  assert.ok(bytes < 300_000, `${bytes} bytes`);
});

test("the licences of what is in it go with it", () => {
  const text = files.get("licences.md")?.body.toString("utf8") ?? "";
  for (const name of ["react-dom", "uplot", "@ariakit/react"]) assert.ok(text.includes(name), name);
  assert.doesNotMatch(text, /GPL|CC-BY/);
});
