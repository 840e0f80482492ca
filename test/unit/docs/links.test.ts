import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const markdownIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));

/** Targets of links and their anchors, as paths from the root; code blocks are no prose. */
const linksOf = (page: string): readonly (readonly [path: string, anchor: string])[] =>
  [
    ...readFileSync(page, "utf8")
      .replace(/^\s*```[\s\S]*?^\s*```/gm, "")
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = "", anchor = ""] = target.split("#");
      return [path === "" ? page : join(dirname(page), path), anchor];
    });

/** Anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (page: string): readonly string[] =>
  [...readFileSync(page, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, "")
      .replaceAll(" ", "-"),
  );

test("every link of a page leads to a file, and to a heading where it names one", () => {
  const dead = [".", "docs", "docs/adr"].flatMap(markdownIn).flatMap((page) =>
    linksOf(page)
      .filter(
        ([path, anchor]) =>
          !existsSync(path) || (anchor !== "" && path.endsWith(".md") && !anchorsOf(path).includes(anchor)),
      )
      .map(([path, anchor]) => `${page}: ${path} ${anchor}`),
  );
  assert.deepEqual(dead, []);
});

test("the reading path leads to every page", () => {
  const reached = new Set(linksOf("docs/00-reading-path.md").map(([path]) => path));
  assert.deepEqual(
    markdownIn("docs").filter((page) => page !== "docs/00-reading-path.md" && !reached.has(page)),
    [],
  );
});
