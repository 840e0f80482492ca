import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { docker } from "./command.ts";
import { converged, inContainer, lacks, Project } from "./project.ts";

const VERSION = lacks("v2") === false ? "v2" : "v1";

const states = async (container: string): Promise<readonly string[]> => {
  const script = "JSON.stringify(rs.status().members.map((m) => m.name + ' ' + m.stateStr).sort())";
  return JSON.parse(await inContainer(container, "mongosh", "--quiet", "--eval", script)) as string[];
};

const primaryIs = (asked: string, wanted: RegExp): Promise<string> =>
  waitFor(
    async () => {
      const members = await states(asked);
      const primary = members.find((member) => member.endsWith(" PRIMARY"));
      return primary !== undefined && wanted.test(primary) ? { done: primary } : { seen: members };
    },
    { what: `a primary like ${wanted}`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );

test("--profile replica-set: three members on both sides, and the target's primary may stop", {
  skip: lacks(VERSION),
}, async () => {
  await using project = new Project(VERSION);
  await project.compose("--profile", "replica-set", "up", "--build", "-d");
  await project.healthy();
  for (const side of ["source", "target"]) {
    const name = `mongo-${side}`;
    assert.deepEqual(await states(name), [
      `${name}-2:27017 SECONDARY`,
      `${name}-3:27017 SECONDARY`,
      `${name}:27017 PRIMARY`,
    ]);
  }
  await inContainer("mongo-source", "ferry", "gen-data", "--count", "100");
  await inContainer("mongo-source", "cx", "/opt/ferry/deploy/recommended-connector.json");
  await converged();

  await docker("stop", "mongo-target");
  const primary = await primaryIs("mongo-target-2", /^mongo-target-[23]:/);
  await inContainer("mongo-source", "ferry", "gen-data", "--count", "100");
  await converged("mongo-source", primary.split(":")[0]);

  await docker("start", "mongo-target");
  await primaryIs("mongo-target-2", /^mongo-target:/);
  await converged();
});
