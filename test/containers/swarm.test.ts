import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { attempt, docker } from "./command.ts";
import { KINDS, listed, STACK, STACK_LABEL } from "./leftovers.ts";
import { lacks, Project, unnamedVolumes } from "./project.ts";
import { typeRunBook } from "./runBook.ts";

const VERSION = lacks("v2") === false ? "v2" : "v1";
const NETWORK = "ferry";

/** An existing Swarm of this engine has another owner: the tests leave it as it is, and use it. */
let joined = false;

before(async () => {
  const state = await docker("info", "--format", "{{.Swarm.LocalNodeState}}");
  if (state === "active") return;
  await docker("swarm", "init", "--advertise-addr", "127.0.0.1");
  joined = true;
});

after(async () => {
  if (joined) await docker("swarm", "leave", "--force");
});

test("on an attachable overlay network the containers keep their names: the run book, typed literally", {
  skip: lacks(VERSION),
}, async () => {
  await docker("network", "create", "--driver", "overlay", "--attachable", NETWORK);
  try {
    await using project = new Project(VERSION, ["deploy/swarm/compose.overlay.yaml"]);
    await project.up();
    await typeRunBook({ source: "mongo-source", target: "mongo-target" });
    // Any container that joins the network finds the others by name.
    const image = ["ferry/worker:local", "check", "--source", "mongodb://mongo-source", "--kafka", "kafka:9092"];
    assert.match(await docker("run", "--rm", "--network", NETWORK, ...image), /ok {4}kafka/);
  } finally {
    await removed(["network", "rm", NETWORK]);
  }
});

/** What was just used by a task that is being removed is refused for a moment. */
const removed = (command: readonly string[]): Promise<unknown> =>
  waitFor(
    async () => {
      const { code, stderr } = await attempt("docker", command);
      return code === 0 ? { done: true } : { seen: stderr };
    },
    { what: `docker ${command.join(" ")}`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );

const replicas = async (): Promise<readonly string[]> =>
  (await docker("stack", "services", STACK, "--format", "{{.Name}} {{.Replicas}}")).split("\n");

const complete = (): Promise<unknown> =>
  waitFor(
    async () => {
      const waiting = (await replicas()).filter((line) => !/ (\d+)\/\1\b/.test(line));
      return waiting.length === 0 ? { done: true } : { seen: waiting.join(", ") };
    },
    { what: "all tasks to run", clock: systemClock, timeoutMs: 180_000, everyMs: 1000 },
  );

const workers = async (): Promise<readonly string[]> =>
  (await docker("ps", "-q", "-f", `name=${STACK}_worker`)).split("\n");

const leaves = async (): Promise<void> => {
  await attempt("docker", ["stack", "rm", STACK]);
  for (const kind of KINDS)
    await waitFor(
      async () => {
        const left = await listed(kind, "--filter", `label=${STACK_LABEL}`);
        if (left.length > 0 && kind === "volume") await attempt("docker", ["volume", "rm", "-f", ...left]);
        return left.length === 0 ? { done: true } : { seen: left };
      },
      { what: `every ${kind} of the stack to be gone`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
    );
};

test("docker stack deploy: the run book in the stack's tasks; workers are scaled, and one that is killed returns", async () => {
  const before = await unnamedVolumes();
  await docker("stack", "deploy", "--compose-file", "deploy/swarm/stack.yaml", STACK);
  try {
    await complete();
    const task = (service: string): string => `$(docker ps -q -f name=${STACK}_${service})`;
    await typeRunBook({ source: task("mongo-source"), target: task("mongo-target") });
    await docker("service", "scale", "-d", `${STACK}_worker=3`);
    await complete();
    const [killed = ""] = await workers();
    await docker("kill", killed);
    await waitFor(
      async () => {
        const running = await workers();
        return running.length === 3 && !running.includes(killed) ? { done: true } : { seen: running };
      },
      { what: "a new worker in place of the killed one", clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
    );
    await complete();
  } finally {
    if (process.env["FERRY_TEST_KEEP"] !== "1") await leaves();
  }
  assert.equal((await unnamedVolumes()).difference(before).size, 0, "nothing unnamed is left behind");
});
