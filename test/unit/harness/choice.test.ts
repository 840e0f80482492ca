import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { choiceOf, USAGE } from "../../harness/choice.ts";

/** `npm test -- ARG ...`; without what makes a runner below this one run nothing. */
const npmTest = (...args: readonly string[]) => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const flags = ["--disable-warning=ExperimentalWarning", "test/run.ts"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, ...args], { env, encoding: "utf8" });
  const [last = "", sentence] = stdout
    .trimEnd()
    .split("\n")
    .reverse()
    .filter((line) => /passed|matches/.test(line));
  return { status, last, sentence, stderr };
};

const FILES = ["test/unit/names.test.ts", "test/unit/harness/timeLimit.test.ts"];

test("parts and a pattern choose; what is no pattern or no option is refused in a sentence", () => {
  assert.deepEqual(choiceOf(["unit", "-t", "a (lane|key)"]), { parts: ["unit"], pattern: /a (lane|key)/ });
  assert.deepEqual(choiceOf([]), { parts: [], pattern: undefined });
  assert.equal(choiceOf(["-t", "("]), "Invalid regular expression: /(/: Unterminated group");
  assert.equal(choiceOf(["--watch"]), "Unknown option '--watch'");
});

test("npm test -t: a pattern that matches no test fails, one that is invalid is a mistake of usage, and a match runs alone", () => {
  const none = npmTest(...FILES, "-t", "matches nothing");
  assert.deepEqual(none, {
    ...{ status: 1, last: "0 passed, 1 failed", stderr: "" },
    sentence: `no test in ${FILES.join(" ")} has a name that matches /matches nothing/`,
  });
  const invalid = npmTest(...FILES, "-t", "(");
  assert.deepEqual(invalid, { status: USAGE, last: "", sentence: undefined, stderr: `${choiceOf(["-t", "("])}\n` });
  const one = npmTest(...FILES, "-t", "no name is exported from two files");
  assert.deepEqual(one, { status: 0, last: "1 passed, 0 failed", sentence: undefined, stderr: "" });
});
