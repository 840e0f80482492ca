/** What is written twice, because neither Compose nor Swarm can read it from the code, is the same in both places. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { PUBLISHED } from "#tools/stack/containerChecks.ts";
import { brokerProperties } from "#tools/stack/kafka.ts";
import { VERSIONS } from "#tools/stack/pins.ts";

type Service = Readonly<{
  image: string;
  environment?: Readonly<Record<string, string | number>>;
  ports?: readonly string[];
  profiles?: readonly string[];
  healthcheck?: unknown;
}>;

const services = (file: string): Readonly<Record<string, Service>> =>
  (parse(readFileSync(file, "utf8"), { merge: true }) as { services: Record<string, Service> }).services;
const compose = services("compose.yaml");
const stack = services("deploy/swarm/stack.yaml");

/** Where a broker is and who talks to it differs between a machine and a network; everything else is the same. */
const OF_THE_PLACE = /listener|quorum|^log\.dirs$|^process\.roles$|^node\.id$/;
const variable = (key: string): string => `KAFKA_${key.toUpperCase().replaceAll("_", "__").replaceAll(".", "_")}`;

test("the broker in containers has the settings of the local stack's", () => {
  for (const { environment = {} } of [compose["kafka"] as Service, stack["kafka"] as Service])
    for (const [key, value] of Object.entries(brokerProperties("", 1, 2)))
      if (!OF_THE_PLACE.test(key)) assert.equal(String(environment[variable(key)]), String(value), key);
});

test("one version of Kafka everywhere", () => {
  const image = `apache/kafka:${VERSIONS.kafka}`;
  assert.equal(compose["kafka"]?.image, `\${FERRY_KAFKA_IMAGE:-${image}}`);
  assert.equal(stack["kafka"]?.image, image);
  assert.match(readFileSync("deploy/images/Dockerfile", "utf8"), new RegExp(`^ARG KAFKA_IMAGE=${image}$`, "m"));
});

test("each base image of the Dockerfile may be given with a digest, and is the same without", () => {
  const bases = readFileSync("deploy/images/Dockerfile", "utf8").matchAll(/^ARG (\w+_IMAGE)=(.+)$/gm);
  const text = readFileSync("compose.yaml", "utf8");
  for (const [, name = "", image = ""] of bases)
    assert.ok(text.includes(`${name}: \${FERRY_${name}:-${image}}\n`), name);
});

test("the same services in Compose and Swarm, by the same names, each with a health check", () => {
  const usual = Object.entries(compose).filter(([, { profiles }]) => profiles === undefined);
  assert.deepEqual(usual.map(([name]) => name).sort(), Object.keys(stack).sort());
  for (const service of [...Object.values(compose), ...Object.values(stack)]) assert.ok(service.healthcheck);
});

test("what is published is on loopback, and known to the preflight", () => {
  const published = Object.entries(compose).flatMap(([service, { ports = [] }]) =>
    ports.map((port) => {
      const [, env, usual] = /^127\.0\.0\.1:\$\{([A-Z_]+):-(\d+)\}:\d+$/.exec(port) ?? [];
      return { service, port: Number(usual), env };
    }),
  );
  assert.deepEqual(published, PUBLISHED);
});
