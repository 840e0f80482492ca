import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { type ConnectorConfig, ConnectRest } from "#source/connect/connectRest.ts";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { freePorts } from "#tools/stack/ports.ts";
import { runProgram } from "#tools/stack/process.ts";
import { authority } from "../harness/certificates.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { guarded } from "../harness/guarded.ts";
import { PASSWORD } from "../harness/printedRoles.ts";
import { connect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { recommendedConnector } from "../harness/workerConnector.ts";

const STORE_PASSWORD = "store-secret";
const folder = tempFolder();
const servers = new AsyncDisposableStack();
after(async () => {
  await servers.disposeAsync();
  folder[Symbol.dispose]();
});

const run = async (program: string, args: readonly string[]): Promise<void> => {
  const { code, stdout, stderr, failure } = await runProgram(program, args, { timeoutMs: 60_000 });
  assert.equal(code, 0, failure ?? stdout + stderr);
};

/** A Connect with a port for HTTP and one for HTTPS, which may read secrets from files. */
const securedConnect = async (pem: string) => {
  const store = join(folder.path, "connect.p12");
  await run("openssl", ["pkcs12", "-export", "-in", pem, "-out", store, "-passout", `pass:${STORE_PASSWORD}`]);
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const server = await connect((await sharedKafka()).bootstrap, {
    port,
    props: {
      listeners: `http://127.0.0.1:${port},https://127.0.0.1:${tlsPort}`,
      "listeners.https.ssl.keystore.location": store,
      "listeners.https.ssl.keystore.type": "PKCS12",
      "listeners.https.ssl.keystore.password": STORE_PASSWORD,
      "listeners.https.ssl.key.password": STORE_PASSWORD,
      "config.providers": "file",
      "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
    },
  });
  servers.use(server);
  return { server, at: `127.0.0.1:${tlsPort}` };
};

/** What stands before Connect at many places: HTTPS, and a login. */
const gateway = async (pem: string, upstream: string, login?: string): Promise<string> => {
  const text = readFileSync(pem);
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString("base64")}`;
  const server = createServer({ key: text, cert: text }, (incoming, answer) => {
    if (wanted !== undefined && incoming.headers.authorization !== wanted) {
      answer.writeHead(401, { "content-type": "text/plain" }).end("who are you?");
      return;
    }
    const { method, headers } = incoming;
    const inner = request(`${upstream}${incoming.url}`, { method, headers, agent: false }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    inner.once("error", () => answer.writeHead(502).end());
    incoming.pipe(inner);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.defer(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

test("Connect by HTTPS, with a login, and a connector whose source has a private authority", async (t) => {
  const [pki, stranger] = [await authority(folder.path), await authority(tempFolder().path)];
  const pem = await pki.signed("server");
  const [ca, strangeCa] = [pki.ca, stranger.ca].map((file) => readFileSync(file, "utf8")) as [string, string];
  const { server, at } = await securedConnect(pem);
  const login = "ferry:p%40ss";
  const guardedAt = await gateway(pem, server.url, "ferry:p@ss");
  const plainAt = `127.0.0.1:${server.port}`;
  const expired = await gateway(await pki.signed("expired", { expired: true }), server.url);
  const elsewhere = await gateway(await pki.signed("elsewhere", { host: "elsewhere.example" }), server.url);
  const ask = (url: string, trusted?: string): Promise<unknown> =>
    new ConnectRest({
      url,
      clock: systemClock,
      giveUpAfterMs: 0,
      ...(trusted === undefined ? {} : { ca: trusted }),
    }).version();

  const works: Readonly<Record<string, () => Promise<unknown>>> = {
    HTTPS: () => ask(`https://${at}`, ca),
    "HTTPS and a login": () => ask(`https://${login}@${guardedAt}`, ca),
  };
  for (const [name, work] of Object.entries(works))
    await t.test(name, async () => assert.match(String(await work()), /^\d/));

  const fails: Readonly<Record<string, readonly [work: () => Promise<unknown>, says: RegExp]>> = {
    "another authority": [
      () => ask(`https://${at}`, strangeCa),
      /FERRY_CONNECT_TLS: .*an authority that --connect-ca does not hold/,
    ],
    "no authority": [() => ask(`https://${at}`), /FERRY_CONNECT_TLS: .*an authority that --connect-ca/],
    "an expired certificate": [() => ask(`https://${expired}`, ca), /FERRY_CONNECT_TLS: .*has expired/],
    "another name": [() => ask(`https://${elsewhere}`, ca), /FERRY_CONNECT_TLS: .*for another name/],
    "a wrong password": [() => ask(`https://ferry:wrong-password@${guardedAt}`, ca), /FERRY_CONNECT_AUTH: .*401/],
    "no password": [() => ask(`https://${guardedAt}`, ca), /FERRY_CONNECT_AUTH: .*401/],
    "HTTPS to a port without it": [
      () => ask(`https://${plainAt}`, ca),
      /FERRY_CONNECT_TLS: .*speaks no TLS, and https/,
    ],
    "HTTP to a port that wants HTTPS": [
      () => ask(`http://${at}`),
      /FERRY_CONNECT_UNREACHABLE: .*https:\/\/ in --connect/,
    ],
  };
  for (const [name, [work, says]] of Object.entries(fails))
    await t.test(name, () =>
      assert.rejects(work, (error) => {
        assert.ok(isFerry(error));
        assert.match(`${error.code}: ${error.detail}`, says);
        assert.doesNotMatch(error.message, /wrong-password|p@ss|p%40ss/);
        return true;
      }),
    );

  await t.test("ferry cx starts a connector by the gateway; Connect never answers the password", async () => {
    const tls = ["--tlsMode", "preferTLS", "--tlsCAFile", pki.ca, "--tlsCertificateKeyFile", pem];
    const source = servers.use(
      await guarded(folder.path, { name: "source", args: [...tls, "--tlsAllowConnectionsWithoutCertificates"] }),
    );
    const target = await sharedMongo("target");
    await source.root.db("shop").collection("users").insertOne({ n: 1 });
    const trust = join(folder.path, "source.p12");
    const imported = ["-importcert", "-noprompt", "-alias", "source", "-file", pki.ca, "-keystore", trust];
    const keytool = join(dirname(await ensureJava(() => undefined)), "keytool");
    await run(keytool, [...imported, "-storetype", "PKCS12", "-storepass", STORE_PASSWORD]);
    const secrets = join(folder.path, "source.properties");
    const uri = `${source.uri("root")}&tls=true`;
    writeFileSync(secrets, `uri=${uri}\nstore=${STORE_PASSWORD}\n`);
    const config: ConnectorConfig = {
      ...recommendedConnector(source.server.uri, "shop", "users"),
      "connection.uri": `\${file:${secrets}:uri}`,
      "connection.ssl.truststore": trust,
      "connection.ssl.truststorePassword": `\${file:${secrets}:store}`,
    };
    const file = join(folder.path, "connector.json");
    const env = {
      FERRY_SOURCE: `${uri}&tlsCAFile=${pki.ca}`,
      FERRY_TARGET: target.uri,
      FERRY_KAFKA: (await sharedKafka()).bootstrap,
      FERRY_CONNECT: `https://${login}@${guardedAt}`,
    };
    const cx = (changes: ConnectorConfig) => {
      writeFileSync(file, JSON.stringify({ name: "private", config: { ...config, ...changes } }));
      return ferry(["cx", file, "--connect-ca", pki.ca], { env });
    };
    const pemFile = await cx({ "connection.uri": `${uri}&tlsCAFile=${pki.ca}` });
    assert.match(pemFile.err, /FERRY_CAPTURE_UNUSABLE: .*has tlsCAFile, .*connection\.ssl\.truststore/);
    assert.match(pemFile.out + pemFile.err, /connection\.uri holds a password/);
    const { status, out, err } = await cx({});
    assert.equal(status, 0, out + err + server.logTail(20));
    const answered = JSON.stringify(await (await fetch(`${server.url}/connectors?expand=info&expand=status`)).json());
    assert.match(answered, /"private"/);
    for (const secret of [`:${PASSWORD}@`, STORE_PASSWORD]) assert.ok(!answered.includes(secret), secret);
    await waitFor(
      async () => {
        const shown = await ferry(["status", "--connect-ca", pki.ca], { env });
        return /shop\.users/.test(shown.out) && shown.status === 0 ? { done: undefined } : { seen: shown };
      },
      { what: "the connector to feed its topic", clock: systemClock, timeoutMs: 30_000 },
    );
  });
});
