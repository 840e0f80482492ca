import assert from "node:assert/strict";
import { test } from "node:test";
import { bannedIn, commentsIn, WIDTH, wrapped } from "../../../docs/prose.ts";

const WORD = "word ".repeat(40).trim();

test("paragraphs and list items are filled to one width, and what is wrapped stays as it is", () => {
  const page = `# ${WORD}\n\n${WORD}\n${WORD}\n\n- ${WORD}\n  ${WORD}\n1. ${WORD}\n   - ${WORD}\n`;
  const once = wrapped(page);
  assert.equal(wrapped(once), once);
  const [, ...lines] = once.split("\n");
  assert.ok(lines.every((line) => line.length <= WIDTH));
  assert.deepEqual(
    lines.filter((line) => !/^ *word/.test(line) && line !== "").map((line) => line.slice(0, 8)),
    ["- word w", "1. word ", "   - wor"],
  );
  assert.equal(once.split(/\s+/).filter((word) => word === "word").length, page.split("word").length - 1);
});

test("code, tables, comments, code spans, links and meant breaks keep their lines", () => {
  const kept = `\`\`\`\n${WORD} ${WORD}\n\`\`\`\n\n| ${WORD} |\n|---|\n\n<!-- ${WORD} -->\none  \ntwo\n`;
  assert.equal(wrapped(kept), kept);
  const span = `${"x".repeat(WIDTH - 5)} \`a code span\` and [a link](a b)`;
  assert.deepEqual(wrapped(span).split("\n"), ["x".repeat(WIDTH - 5), "`a code span` and [a link](a b)"]);
});

test("no line comes to begin with a mark of its own", () => {
  const lines = wrapped(`${"x".repeat(WIDTH - 3)} y - z 1. a`).split("\n");
  assert.deepEqual(lines, ["x".repeat(WIDTH - 3), "y - z 1. a"]);
});

test("banned words are found in prose, not in code", () => {
  assert.deepEqual(bannedIn("It copies `anew` again.\n```\nnobody\n```\n"), []);
  assert.deepEqual(bannedIn("Nobody\nknows"), ['"Nobody": name who: a user, a service, no process']);
  assert.deepEqual(bannedIn("what was held\nback"), ['"held back": deferred, withheld']);
});

test("of a source file comments and titles of tests count, also across lines, and strings do not", () => {
  const source = [
    "/**",
    " * What was held",
    " * back.",
    " */",
    `const host = "mongodb://nobody.invalid"; ${"//"} it is mended`,
    `${"test"}("it is made anew", () => undefined);`,
  ].join("\n");
  assert.deepEqual(
    bannedIn(commentsIn(source)).map((banned) => /^"(.*?)"/.exec(banned)?.[1]),
    ["anew", "mended", "held back"],
  );
  assert.equal(commentsIn('open("http://nobody.invalid")').trim(), "");
});
