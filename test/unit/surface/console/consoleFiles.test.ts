import assert from "node:assert/strict";
import { test } from "node:test";
import { CONSOLE_POLICY, readConsole } from "#surface/console/consoleFiles.ts";

const files = readConsole();
const textOf = (end: string): string => files.find(({ path }) => path.endsWith(end))?.body.toString("utf8") ?? "";
const [page, script, style] = [textOf("/"), textOf(".js"), textOf(".css")];

test("the page has nothing inline and nothing from elsewhere, as its policy says", () => {
  assert.match(CONSOLE_POLICY, /default-src 'none'/);
  assert.doesNotMatch(CONSOLE_POLICY, /unsafe|https?:|\*/);
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=/);
  for (const text of [page, script, style]) assert.doesNotMatch(text, /https?:\/\/|@import|url\(/);
  for (const [, path] of page.matchAll(/(?:src|href)="(\/[^"]*)"/g))
    assert.ok(
      files.some((file) => file.path === path),
      path,
    );
});

test("what the API answers is never put in as markup", () => {
  assert.doesNotMatch(script, /innerHTML\s*=[^=]|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
});

test("every part that the script fills is on the page, and all of it is small", () => {
  for (const [, id] of script.matchAll(/(?:byId|fill)\("(\w+)"/g)) assert.ok(page.includes(`id="${id}"`), id);
  const bytes = files.reduce((sum, { body }) => sum + body.length, 0);
  assert.ok(bytes < 30_000, `${bytes} bytes`);
});
