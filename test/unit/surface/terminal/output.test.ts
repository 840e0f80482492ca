import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { failureAsJson } from "../../../../src/surface/terminal/output.ts";
import { ferry } from "../../../harness/ferry.ts";

test("a failure as JSON carries its facts; an error that is none of ferry's is a bug with its stack", () => {
  const error = new FerryError("FERRY_STACK_DISK", "too little", { facts: { free: 5, offset: 2n ** 60n } });
  const { hint, exit } = CATALOGUE.FERRY_STACK_DISK;
  assert.deepEqual(JSON.parse(failureAsJson(error)), {
    code: "FERRY_STACK_DISK",
    detail: "too little",
    hint,
    exit,
    facts: { free: 5, offset: "1152921504606846976" },
  });
  const bug = JSON.parse(failureAsJson(new TypeError("x is undefined")));
  assert.deepEqual([bug.code, bug.detail, bug.exit], ["FERRY_BUG", "x is undefined", 70]);
  assert.match(bug.facts.stack, /^TypeError: x is undefined\n +at /);
});

test("with --json a failure is one line of JSON on stderr, with the exit status that it names; without it is a sentence", async () => {
  const missing = ["config", "check", "--config", "nowhere/ferry.yaml"];
  const cases = [
    [missing, "FERRY_CONFIG", "nowhere/ferry.yaml: there is no such file"],
    [
      ["status"],
      "FERRY_USAGE",
      "kafka is not set; give --kafka or FERRY_KAFKA, or start a local stack with `ferry stack up`",
    ],
    [["status", "--nonsense"], "FERRY_USAGE", "unknown option '--nonsense'"],
    [["kc"], "FERRY_USAGE", "missing required argument 'topic'"],
  ] as const;
  await Promise.all(
    cases.map(async ([args, code, detail]) => {
      const { status, out, err } = await ferry([...args, "--json"]);
      const { hint, exit } = CATALOGUE[code];
      assert.match(err, /^\{.*\}\n$/);
      assert.deepEqual(JSON.parse(err), { code, detail, hint, exit, facts: {} });
      assert.deepEqual({ status, out }, { status: exit, out: "" });
    }),
  );
  assert.equal((await ferry(["status", "--nonsense"])).status, 64);
  const { status, err } = await ferry(missing);
  assert.equal(status, 64);
  assert.equal(
    err,
    `ferry: FERRY_CONFIG: nowhere/ferry.yaml: there is no such file\n  ${CATALOGUE.FERRY_CONFIG.hint}\n`,
  );
});

test("--version is the one of package.json", async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.deepEqual(await ferry(["--version"]), { status: 0, out: `${version}\n`, err: "" });
});
