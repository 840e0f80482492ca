import assert from "node:assert/strict";
import { test } from "node:test";
import { attempt, docker } from "./command.ts";
import { inContainer, lacks, Project } from "./project.ts";
import { typeRunBook } from "./runBook.ts";

type Inspected = Readonly<{
  Name: string;
  Config: Readonly<{ Env: readonly string[] }>;
  HostConfig: Readonly<{ PortBindings: object | null; CapDrop: readonly string[] | null }>;
}>;

/** What is refused to someone on the network, with a piece of the answer. */
const REFUSED: Readonly<Record<string, readonly [command: readonly string[], says: RegExp]>> = {
  "MongoDB without TLS": [
    ["/usr/bin/mongosh", "mongodb://mongo-source/?serverSelectionTimeoutMS=3000"],
    /closed|reset/,
  ],
  "MongoDB without a login": [
    [
      "/usr/bin/mongosh",
      "--tls",
      "--tlsCAFile",
      "/run/ferry/ca.pem",
      "mongodb://mongo-source",
      "--eval",
      "db.users.findOne()",
    ],
    /requires authentication/,
  ],
  "Kafka without TLS": [
    ["env", "-u", "FERRY_KAFKA_CONFIG", "timeout", "60", "ferry", "check", "--kafka", "kafka:9092"],
    /FERRY_KAFKA_(?:TLS|UNREACHABLE).*--kafka-config|security\.protocol/s,
  ],
};

test("the secure stack: users, TLS and logins from secrets of its own; the run book, typed as it stands", {
  skip: lacks("v2"),
}, async (t) => {
  await using project = new Project("v2", ["deploy/secure/compose.yaml"]);
  await project.up();
  const names = await project.containers();

  await t.test("no port is published, and no secret is in a container's environment", async () => {
    const folders = { "mongo-source": ["root", "operator", "ferry"], "mongo-target": ["root", "operator", "ferry"] };
    const secrets = await Promise.all(
      Object.entries(folders).flatMap(([name, files]) =>
        files.map((file) => inContainer(name, "cat", `/run/ferry/${file}`)),
      ),
    );
    assert.equal(new Set(secrets).size, 6, "each user has a password of its own");
    for (const { Name, Config, HostConfig } of JSON.parse(await docker("inspect", ...names)) as Inspected[]) {
      assert.deepEqual(HostConfig.PortBindings ?? {}, {}, Name);
      assert.deepEqual(HostConfig.CapDrop, ["ALL"], Name);
      for (const secret of secrets) assert.ok(!Config.Env.join().includes(secret), Name);
    }
  });

  await t.test("the run book", () =>
    typeRunBook({ source: "mongo-source", target: "mongo-target" }, "deploy/secure/kafka-source-connect.json"),
  );

  await t.test("Connect's REST API answers no password", async () => {
    const script =
      "fetch('http://kafka-connect:8083/connectors/mongo-source-connect/config').then(async (r) => console.log(await r.text()))";
    const config = await inContainer("mongo-source", "node", "-e", script);
    assert.match(config, /\$\{directory:/);
    assert.doesNotMatch(config, /mongodb:\/\//);
  });

  for (const [name, [command, says]] of Object.entries(REFUSED))
    await t.test(`refused: ${name}`, async () => {
      const { code, stdout, stderr } = await attempt("docker", ["exec", "mongo-source", ...command]);
      assert.notEqual(code, 0);
      assert.match(stdout + stderr, says);
    });
});
