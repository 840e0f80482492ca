import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { attempt } from "./command.ts";
import { converged, inContainer, lacks, Project } from "./project.ts";

const VERSION = lacks("v2") === false ? "v2" : "v1";

type Users = Readonly<Record<string, { Attributes: readonly { Name: string }[] }>>;

test("--profile cognito: the run book's users are in the database with all fields, and in the pool without age and sex", {
  skip: lacks(VERSION),
}, async () => {
  await using project = new Project(VERSION);
  await project.compose("--profile", "cognito", "up", "--build", "-d");
  await project.healthy();
  await inContainer("mongo-source", "ferry", "gen-data", "--count", "100");
  await inContainer("mongo-source", "cx", "/opt/ferry/deploy/recommended-connector.json");
  await converged();
  // By the worker's own settings: its routes, its state, and no target.
  await waitFor(
    async () => {
      const { code, stdout, stderr } = await attempt("docker", ["exec", "cognito-worker", "ferry", "verify"]);
      return code === 0 && /^users-to-cognito: 100 documents compared, all equal;/m.test(stdout)
        ? { done: undefined }
        : { seen: `${stdout}${stderr}` };
    },
    { what: "the pool to have all users", clock: systemClock, timeoutMs: 120_000, everyMs: 1000 },
  );
  const pool = await inContainer("cognito", "cat", "/var/lib/cognito/.cognito/db/local_users.json");
  const { Users } = JSON.parse(pool) as { Users: Users };
  assert.equal(Object.keys(Users).length, 100);
  for (const { Attributes } of Object.values(Users))
    assert.deepEqual(Attributes.map(({ Name }) => Name).sort(), [
      "email",
      "email_verified",
      "family_name",
      "given_name",
      "sub",
    ]);
});
