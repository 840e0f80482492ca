import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { javaArgs } from "#tools/stack/java.ts";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { freePorts } from "#tools/stack/ports.ts";
import { runProgram } from "#tools/stack/process.ts";
import { authority } from "../harness/certificates.ts";
import { compare } from "../harness/compare.ts";
import { startCapture } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { kafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const PASSWORD = 's3cret; "quoted"';
const SECRET = "endpoint-secret";
const folder = tempFolder();
after(() => folder[Symbol.dispose]());

const quoted = (text: string): string => text.replace(/[\\"]/g, "\\$&");
/** As a properties file spells a value. */
const spelled = (text: string): string => text.replace(/\\/g, "\\\\");

const login = (module: string, options: string): string =>
  spelled(`org.apache.kafka.common.security.${module} required ${options};`);

const plain = (password: string): string =>
  login("plain.PlainLoginModule", `username="ferry" password="${quoted(password)}"`);
const scram = (password: string): string =>
  login("scram.ScramLoginModule", `username="ferry" password="${quoted(password)}"`);

const unsigned = (): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: "none" })}.${part({ sub: "ferry", iat: now, exp: now + 600 })}.`;
};

/** Gives a token to clients that know the secret. */
const tokens = createServer((request, response) => {
  const [, given = ""] = (request.headers.authorization ?? "").split(" ");
  const isKnown = Buffer.from(given, "base64").toString() === `ferry:${SECRET}`;
  response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
  response.end(
    JSON.stringify(isKnown ? { access_token: unsigned(), token_type: "bearer" } : { error: "invalid_client" }),
  );
});
after(() => tokens.close());

const PREFIX = "listener.name";

/** One broker with a listener of each kind. */
const secured = async () => {
  tokens.listen(0, "127.0.0.1");
  await once(tokens, "listening");
  const pki = await authority(folder.path);
  const stranger = await authority(tempFolder().path);
  const server = await pki.signed("server");
  const stores = (store: string) => ({
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": store,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": pki.ca,
  });
  const names = ["tls", "mutual", "login", "both", "expired", "elsewhere"] as const;
  const [port = 0, controllerPort = 0, ...ports] = await freePorts(2 + names.length);
  const at = (name: (typeof names)[number]): string => `127.0.0.1:${ports[names.indexOf(name)]}`;
  const listeners = [`PLAINTEXT://127.0.0.1:${port}`, ...names.map((name) => `${name.toUpperCase()}://${at(name)}`)];
  const of = (name: string, properties: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(properties).map(([key, value]) => [`${PREFIX}.${name}.${key}`, value]));
  const logins = (name: string) =>
    of(name, {
      "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
      "plain.sasl.jaas.config": login("plain.PlainLoginModule", `user_ferry="${quoted(PASSWORD)}"`),
      "scram-sha-256.sasl.jaas.config": login("scram.ScramLoginModule", ""),
      "scram-sha-512.sasl.jaas.config": login("scram.ScramLoginModule", ""),
      "oauthbearer.sasl.jaas.config": login("oauthbearer.OAuthBearerLoginModule", 'unsecuredLoginStringClaim_sub="x"'),
    });
  const broker = await kafka({
    port,
    controllerPort,
    props: {
      listeners: [...listeners, `CONTROLLER://127.0.0.1:${controllerPort}`].join(","),
      "advertised.listeners": listeners.join(","),
      "listener.security.protocol.map":
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,MUTUAL:SSL,LOGIN:SASL_PLAINTEXT,BOTH:SASL_SSL,EXPIRED:SSL,ELSEWHERE:SSL",
      "inter.broker.listener.name": "PLAINTEXT",
      ...of("tls", stores(server)),
      ...of("both", stores(server)),
      ...of("mutual", { ...stores(server), "ssl.client.auth": "required" }),
      ...of("expired", stores(await pki.signed("expired", { expired: true }))),
      ...of("elsewhere", stores(await pki.signed("elsewhere", { host: "elsewhere.example" }))),
      ...logins("login"),
      ...logins("both"),
    },
  });
  try {
    for (const mechanism of ["SCRAM-SHA-256", "SCRAM-SHA-512"]) await addScram(broker.bootstrap, mechanism);
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
  return {
    broker,
    at,
    ca: pki.ca,
    client: await pki.signed("client"),
    strange: await stranger.signed("client"),
    strangeCa: stranger.ca,
  };
};

const addScram = async (bootstrap: string, mechanism: string, password = PASSWORD): Promise<void> => {
  const tool = ["kafka.admin.ConfigCommand", "--bootstrap-server", bootstrap, "--alter"];
  const user = ["--entity-type", "users", "--entity-name", "ferry"];
  const java = await ensureJava(() => undefined);
  const args = [...javaArgs("128m", await ensureKafka(() => undefined)), ...tool, ...user];
  const { code, stdout, stderr } = await runProgram(
    java,
    [...args, "--add-config", `${mechanism}=[password=${password}]`],
    {
      timeoutMs: 60_000,
    },
  );
  assert.equal(code, 0, stdout + stderr);
};

let written = 0;

const nextFile = (): string => join(folder.path, `client-${++written}.properties`);

const file = (properties: Readonly<Record<string, string>>, path = nextFile()): string => {
  writeFileSync(
    path,
    Object.entries(properties)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join(""),
  );
  return path;
};

test("Kafka with TLS, with logins of each kind, with both: what works, and what is said where it does not", {
  concurrency: 3,
}, async (t) => {
  const { broker, at, ca, client, strange, strangeCa } = await secured();
  await using _broker = broker;
  const trust = { "ssl.truststore.type": "PEM", "ssl.truststore.location": ca };
  const own = (store: string) => ({ "ssl.keystore.type": "PEM", "ssl.keystore.location": store });
  const tls = { "security.protocol": "SSL", ...trust };
  const sasl = (mechanism: string, jaas: string) => ({ "sasl.mechanism": mechanism, "sasl.jaas.config": jaas });
  const overPlain = { "security.protocol": "SASL_PLAINTEXT" };
  const overTls = { "security.protocol": "SASL_SSL", ...trust };
  const { port } = tokens.address() as AddressInfo;
  const bearer = (secret: string) => ({
    ...sasl("OAUTHBEARER", login("oauthbearer.OAuthBearerLoginModule", `clientId="ferry" clientSecret="${secret}"`)),
    "sasl.oauthbearer.token.endpoint.url": `http://127.0.0.1:${port}/token`,
  });

  const check = (listener: Parameters<typeof at>[0], properties: Readonly<Record<string, string>>) =>
    ferry(["check", "--kafka", at(listener), "--kafka-config", file(properties)]);

  const works: Readonly<Record<string, () => ReturnType<typeof ferry>>> = {
    TLS: () => check("tls", tls),
    "TLS, another name that is not checked": () =>
      check("elsewhere", { ...tls, "ssl.endpoint.identification.algorithm": "" }),
    "a client's certificate": () => check("mutual", { ...tls, ...own(client) }),
    PLAIN: () => check("login", { ...overPlain, ...sasl("PLAIN", plain(PASSWORD)) }),
    "SCRAM-SHA-256": () => check("login", { ...overPlain, ...sasl("SCRAM-SHA-256", scram(PASSWORD)) }),
    "SCRAM-SHA-512 over TLS": () => check("both", { ...overTls, ...sasl("SCRAM-SHA-512", scram(PASSWORD)) }),
    OAUTHBEARER: () => check("both", { ...overTls, ...bearer(SECRET) }),
  };
  const working = Object.entries(works).map(([name, run]) =>
    t.test(name, async () => {
      const { status, out, err } = await run();
      assert.equal(status, 0, out + err);
    }),
  );

  const fails: Readonly<Record<string, readonly [() => ReturnType<typeof ferry>, RegExp]>> = {
    "a wrong password": [
      () => check("login", { ...overPlain, ...sasl("PLAIN", plain("wrong-password")) }),
      /FERRY_KAFKA_AUTH/,
    ],
    "a wrong password, SCRAM": [
      () => check("both", { ...overTls, ...sasl("SCRAM-SHA-512", scram("wrong-password")) }),
      /FERRY_KAFKA_AUTH/,
    ],
    "a secret that the endpoint does not know": [
      () => check("both", { ...overTls, ...bearer("wrong-password") }),
      /FERRY_KAFKA_AUTH: .*gives no token: HTTP status 401/,
    ],
    "another authority": [
      () => check("tls", { ...tls, "ssl.truststore.location": strangeCa }),
      /FERRY_KAFKA_TLS: .*an authority that ssl\.truststore\.location does not hold/,
    ],
    "no authority": [
      () => check("tls", { "security.protocol": "SSL" }),
      /FERRY_KAFKA_TLS: .*ssl\.truststore\.location/,
    ],
    "an expired certificate": [() => check("expired", tls), /FERRY_KAFKA_TLS: .*has expired/],
    "another name": [() => check("elsewhere", tls), /FERRY_KAFKA_TLS: .*for another name/],
    "no certificate": [() => check("mutual", tls), /FERRY_KAFKA_UNREACHABLE: .*a client's certificate/],
    "a foreign certificate": [
      () => check("mutual", { ...tls, ...own(strange) }),
      /FERRY_KAFKA_UNREACHABLE: .*a client's certificate/,
    ],
    "TLS to a plain listener": [
      () => check("login", tls),
      /FERRY_KAFKA_TLS: .*speaks? no(?:ne| TLS), and security\.protocol asks for it/,
    ],
    "plain to a TLS listener": [() => check("tls", {}), /FERRY_KAFKA_TLS: .*wants TLS: security\.protocol/],
    "no login to one that wants it": [() => check("login", {}), /FERRY_KAFKA_UNREACHABLE: .*--kafka-config/],
    "a Java keystore": [
      () => check("tls", { "security.protocol": "SSL", "ssl.truststore.location": "x.jks" }),
      /FERRY_CONFIG: .*only Java reads/,
    ],
    "a misspelled key": [
      () => check("tls", { "security.protocl": "SSL" }),
      /FERRY_CONFIG: .*security\.protocl is not known; is it security\.protocol\?/,
    ],
    "a mechanism that there is not": [
      () => check("login", { ...overPlain, ...sasl("GSSAPI", "x") }),
      /FERRY_CONFIG: .*sasl\.mechanism must be PLAIN/,
    ],
  };
  const failing = Object.entries(fails).map(([name, [run, says]]) =>
    t.test(name, async () => {
      const { status, out, err } = await run();
      assert.notEqual(status, 0, out);
      assert.match(out + err, says);
      assert.doesNotMatch(out + err, /wrong-password|FERRY_BUG/);
    }),
  );
  await Promise.all([...working, ...failing]);

  await t.test(
    "a capture and a worker over TLS with a login carry documents, also when its password changes",
    async () => {
      const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
      await using here = await new MongoClient(source.uri).connect();
      await using there = await new MongoClient(target.uri).connect();
      const users = here.db("secure").collection("users");
      await users.insertMany(Array.from({ length: 101 }, (_, n) => ({ n })));
      const settings = (password: string) => ({ ...overTls, ...sasl("SCRAM-SHA-512", scram(password)) });
      const path = file(settings(PASSWORD));
      const config = ["--kafka-config", path];
      const sides = { source: source.uri, target: target.uri, kafka: at("both") };
      await using capture = await startCapture({ ...sides, include: ["secure.*"], args: config });
      await using worker = await startWorker({ ...sides, args: [...config, "--topics", "secure.*"] });
      await capture.says("the change stream continues");
      const equal = (): Promise<void> =>
        waitFor(
          async () => {
            const found = await compare(users, there.db("secure").collection("users"));
            return found.wrong === 0 ? { done: undefined } : { seen: [found, worker.logTail(5), capture.logTail(5)] };
          },
          { what: "both sides to be equal", clock: systemClock, timeoutMs: 60_000 },
        );
      await users.updateOne({ n: 7 }, { $set: { sex: "f" } });
      await equal();
      await addScram(broker.bootstrap, "SCRAM-SHA-512", "changed-password");
      await broker.stop();
      await broker.start();
      await users.updateOne({ n: 8 }, { $set: { sex: "m" } });
      const refusal = /"code":"FERRY_KAFKA_AUTH","err":"[^"]*","hint":"[^"]*--kafka-config/;
      for (const one of [capture, worker]) await one.says(refusal, 120_000);
      file(settings("changed-password"), path);
      await equal();
    },
  );
});
