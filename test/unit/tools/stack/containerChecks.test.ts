import assert from "node:assert/strict";
import { test } from "node:test";
import { checkEngine } from "#tools/stack/containerChecks.ts";

test("an engine of an architecture without images, or with too little memory, is reported with a remedy", () => {
  const gib = 2 ** 30;
  const fails = (arch: string, memory: number): string[] =>
    checkEngine({ version: "28", arch, memory }).flatMap(({ level, sentence, remedy }) =>
      level === "fail" ? [`${sentence}. ${remedy}`] : [],
    );
  assert.deepEqual(fails("x86_64", 8 * gib), []);
  assert.deepEqual(fails("aarch64", 8 * gib), []);
  assert.match(fails("s390x", 8 * gib).join(), /^the Docker engine runs on s390x.*DOCKER_HOST/);
  assert.match(fails("x86_64", 2 * gib).join(), /^the Docker engine has 2\.0 GiB of memory, and the stack needs 3 GiB/);
});
