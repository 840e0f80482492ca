import assert from "node:assert/strict";
import { test } from "node:test";
import { docker } from "./command.ts";
import { converged, inContainer, lacks, Project, unnamedVolumes } from "./project.ts";
import { typeRunBook } from "./runBook.ts";

type Inspected = Readonly<{
  Name: string;
  HostConfig: Readonly<{
    Memory: number;
    NanoCpus: number;
    RestartPolicy: { Name: string };
    CapDrop: readonly string[] | null;
    SecurityOpt: readonly string[] | null;
    PortBindings: Ports | null;
  }>;
  State: Readonly<{ Health: { Status: string } }>;
}>;
type Ports = Readonly<Record<string, readonly { HostIp: string }[] | null>>;

const inspect = async (names: readonly string[]): Promise<readonly Inspected[]> =>
  JSON.parse(await docker("inspect", ...names)) as Inspected[];

test("docker-compose up --build: the run book, typed literally; down and up again finds everything", {
  skip: lacks("v1"),
}, async (t) => {
  const before = await unnamedVolumes();
  await using project = new Project("v1");
  await project.up();
  const names = await project.containers();

  await t.test(
    "every container has limits, no capabilities, a restart policy, health, and ports on loopback only",
    async () => {
      for (const { Name, HostConfig, State } of await inspect(names)) {
        assert.ok(HostConfig.Memory > 0, `${Name} has a memory limit`);
        assert.ok(HostConfig.NanoCpus > 0, `${Name} has a CPU limit`);
        assert.deepEqual(HostConfig.CapDrop, ["ALL"], Name);
        assert.ok(
          HostConfig.SecurityOpt?.some((option) => option.startsWith("no-new-privileges")),
          Name,
        );
        assert.equal(HostConfig.RestartPolicy.Name, "unless-stopped", Name);
        assert.equal(State.Health.Status, "healthy", Name);
        for (const bindings of Object.values(HostConfig.PortBindings ?? {}))
          for (const { HostIp } of bindings ?? []) assert.equal(HostIp, "127.0.0.1", Name);
      }
    },
  );

  await t.test("nothing runs as root, and containers find each other by name", async () => {
    for (const name of names) {
      assert.notEqual(await inContainer(name, "id", "-u"), "0", name);
      for (const other of ["mongo-source", "mongo-target", "kafka", "kafka-connect"])
        await inContainer(name, "getent", "hosts", other);
    }
  });

  await t.test("the run book", () => typeRunBook({ source: "mongo-source", target: "mongo-target" }));

  await t.test("after down and up, all data is there and everything resumes", async () => {
    await project.compose("down");
    assert.deepEqual((await unnamedVolumes()).difference(before).size, 0, "nothing unnamed is left behind");
    if (lacks("v2") === false) project.use("v2"); // the same project, typed the other way
    await project.up();
    const count = ["mongosh", "--quiet", "mongodb://mongo-target", "--eval", "db.users.countDocuments()"];
    assert.equal(await inContainer("mongo-target", ...count), "101");
    await inContainer("mongo-source", "ferry", "gen-data", "--count", "50", "--seed", "7", "--ns", "test.users");
    const digest = await converged();
    assert.match(digest, /"users":"[0-9a-f]{32}"/);
    assert.equal(await inContainer("mongo-target", ...count), "151");
  });
});
