import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { docker } from "./command.ts";
import { converged, inContainer, lacks, Project, status, unbalanced } from "./project.ts";

const VERSION = lacks("v2") === false ? "v2" : "v1";
const RECOMMENDED = "/opt/ferry/deploy/recommended-connector.json";

const living = async (expected: number): Promise<void> => {
  await waitFor(
    async () => {
      const alive = (await status()).workers.filter((worker) => worker.alive).length;
      return alive === expected ? { done: true } : { seen: `${alive} workers are alive` };
    },
    { what: `${expected} living workers`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );
};

/** Waits until the load has changed the source by so much, so that what follows happens in its midst. */
const under = (load: Promise<string>): { goesOn: () => Promise<boolean> } => {
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  load.then(end, end);
  return { goesOn: async () => !ended };
};

test("under load: workers come and go, containers are killed, and both databases end up equal", {
  skip: lacks(VERSION),
}, async () => {
  await using project = new Project(VERSION);
  await project.up();
  await inContainer("mongo-source", "ferry", "gen-data", "--count", "3000");
  await inContainer("mongo-source", "cx", RECOMMENDED);

  const load = inContainer(
    "mongo-source",
    ...["ferry", "gen-data", "--workload", "mixed", "--rate", "150", "--duration", "75"],
  );
  const busy = under(load);
  const scale = (workers: number): Promise<string> =>
    project.compose("up", "-d", "--no-recreate", "--scale", `worker=${workers}`);
  await scale(4);
  await living(4);
  await scale(2);
  await living(2);
  assert.ok(await busy.goesOn(), "scaled while the load went on");

  const [worker = ""] = await project.containers("worker");
  for (const name of [worker, "kafka-connect"]) await docker("kill", "--signal", "KILL", name);
  // `docker kill` counts as a wish of the operator: the restart policy leaves those alone, a person types `start`.
  await docker("start", worker, "kafka-connect");
  await docker("exec", "mongo-target", "sh", "-c", "kill -9 $(pidof mongod)"); // a crash: the policy starts it again
  await docker("exec", "kafka", "sh", "-c", "kill -9 $(pidof java)");
  assert.ok(await busy.goesOn(), "killed while the load went on");
  await load;
  await project.healthy();

  await converged();
  assert.deepEqual(unbalanced(await status()), []);
});
