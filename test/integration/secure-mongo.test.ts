import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { createServer } from "node:tls";
import { isFerry } from "#base/errors/ferryError.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { authority } from "../harness/certificates.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { dnsServer } from "../harness/dnsServer.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { guarded } from "../harness/guarded.ts";
import { PASSWORD } from "../harness/printedRoles.ts";
import { sharedMongo } from "../harness/servers.ts";
import { useDns } from "../harness/useDns.ts";

const KEY_PASSWORD = "k3y-secret";
/** As DNS names the server. */
const NAMED = "db.ferry.test";
const folder = tempFolder();
const servers = new AsyncDisposableStack();
after(async () => {
  await servers.disposeAsync();
  folder[Symbol.dispose]();
});

/** A mongod with users of each kind, which takes TLS with a client's certificate, and until `strict()` also connections without TLS. */
const secured = async () => {
  const [pki, stranger] = [await authority(folder.path), await authority(tempFolder().path)];
  const [server, client, locked, foreign] = await Promise.all([
    pki.signed("server", { alsoHost: NAMED }),
    pki.signed("client"),
    pki.signed("locked", { password: KEY_PASSWORD }),
    stranger.signed("client"),
  ]);
  const tls = ["--tlsMode", "preferTLS", "--tlsCAFile", pki.ca, "--tlsCertificateKeyFile", server];
  const mechanisms = "SCRAM-SHA-1,SCRAM-SHA-256";
  const mongod = servers.use(
    await guarded(folder.path, {
      args: tls,
      setParameters: { authenticationMechanisms: `${mechanisms},MONGODB-X509` },
    }),
  );
  const roles = [
    { role: "readWriteAnyDatabase", db: "admin" },
    { role: "clusterMonitor", db: "admin" },
  ];
  const admin = mongod.root.db("admin");
  for (const mechanism of mechanisms.split(","))
    await admin.command({ createUser: mechanism, pwd: PASSWORD, roles, mechanisms: [mechanism] });
  for (const name of ["client", "locked"])
    await mongod.root.db("$external").command({ createUser: `CN=${name}`, roles });
  return { mongod, pki, ca: pki.ca, strangeCa: stranger.ca, client, locked, foreign };
};

/** Answers TLS with a certificate, and nothing else. */
const answering = async (pem: string): Promise<string> => {
  const text = readFileSync(pem);
  const server = createServer({ key: text, cert: text });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.on("tlsClientError", () => undefined);
  servers.defer(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

test("MongoDB with TLS, certificates and logins of each kind: what works, and what is said where it does not", async (t) => {
  const { mongod, pki, ca, strangeCa, client, locked, foreign } = await secured();
  const plain = await sharedMongo("plain");
  const [host = ""] = /127[^/]*/.exec(mongod.server.uri) ?? [];
  const uri = (user: string, options: Readonly<Record<string, string>>, at = host): string =>
    `mongodb://${user === "" ? "" : `${user}@`}${at}/?${new URLSearchParams(options)}`;
  const login = (mechanism: string, password = PASSWORD): string => `${mechanism}:${password}`;
  const tls = { tls: "true", tlsCAFile: ca };
  const mutual = { ...tls, tlsCertificateKeyFile: client };
  const x509 = { ...mutual, authMechanism: "MONGODB-X509" };

  const connect = async (address: string): Promise<void> => {
    const found = await connectMongo(address, { side: "source", appName: "test", timeoutMs: 3000 });
    try {
      await found.db("secured").collection("tried").insertOne({});
    } finally {
      await found.close();
    }
  };

  const dns = servers.use(
    await dnsServer({
      "_mongodb._tcp.shop.ferry.test": { srv: [{ host: NAMED, port: mongod.server.port }] },
      "shop.ferry.test": { txt: "authSource=admin&replicaSet=rs0" },
    }),
  );
  useDns(dns.address);
  const { tls: _implied, ...named } = mutual;
  const srv = uri(login("SCRAM-SHA-256"), named, "shop.ferry.test").replace("mongodb:", "mongodb+srv:");

  const works: Readonly<Record<string, string>> = {
    "SCRAM-SHA-1": uri(login("SCRAM-SHA-1"), { authMechanism: "SCRAM-SHA-1" }),
    "SCRAM-SHA-256": uri(login("SCRAM-SHA-256"), { authMechanism: "SCRAM-SHA-256" }),
    "SCRAM, as the server offers it": uri(login("SCRAM-SHA-1"), {}),
    "SCRAM over TLS": uri(login("SCRAM-SHA-256"), mutual),
    "SCRAM over TLS, compressed": uri(login("SCRAM-SHA-256"), { ...mutual, compressors: "zlib" }),
    "mongodb+srv, with TLS as its default": srv,
    "X.509": uri("", x509),
    "X.509, a key with a password": uri("", {
      ...x509,
      tlsCertificateKeyFile: locked,
      tlsCertificateKeyFilePassword: KEY_PASSWORD,
    }),
  };
  for (const [name, address] of Object.entries(works)) await t.test(name, () => connect(address));

  const fails: Readonly<Record<string, readonly [address: string, says: RegExp]>> = {
    "a wrong password": [
      uri(login("SCRAM-SHA-256", "wrong"), mutual),
      /FERRY_MONGO_AUTH: connecting to the source, .*Authentication failed/,
    ],
    "a mechanism that the user does not have": [
      uri(login("SCRAM-SHA-1"), { authMechanism: "SCRAM-SHA-256" }),
      /FERRY_MONGO_AUTH: connecting to the source/,
    ],
    "another authority": [
      uri("", { ...x509, tlsCAFile: strangeCa }),
      /FERRY_MONGO_UNREACHABLE: connecting to the source, .*an authority that tlsCAFile does not hold/,
    ],
    "no authority": [
      uri("", { tls: "true", tlsCertificateKeyFile: client }),
      /the source, .*an authority that tlsCAFile/,
    ],
    "an expired certificate": [
      uri("", tls, await answering(await pki.signed("expired", { expired: true }))),
      /the source, .*its certificate has expired/,
    ],
    "another name": [
      uri("", tls, await answering(await pki.signed("elsewhere", { host: "elsewhere.example" }))),
      /the source, .*its certificate is for another name/,
    ],
    "no certificate of the client's own": [
      uri(login("SCRAM-SHA-256"), tls),
      /the source, .*may require .* a client's certificate that it knows \(tlsCertificateKeyFile\)/,
    ],
    "a foreign certificate": [
      uri("", { ...x509, tlsCertificateKeyFile: foreign }),
      /the source, .*may require .* a client's certificate that it knows \(tlsCertificateKeyFile\)/,
    ],
    "a wrong password of the key": [
      uri("", { ...x509, tlsCertificateKeyFile: locked, tlsCertificateKeyFilePassword: "wrong" }),
      /FERRY_TLS_FILE: tlsCertificateKeyFile .*locked\.pem: it cannot be used/,
    ],
    "mongodb+srv, a wrong password": [srv.replace(PASSWORD, "wrong"), /FERRY_MONGO_AUTH: connecting to the source/],
    "TLS to a server without it": [
      uri("", tls, `127.0.0.1:${plain.port}`),
      /the source, .*speaks? (?:no TLS|none), and tls=true asks for it/,
    ],
  };
  for (const [name, [address, says]] of Object.entries(fails))
    await t.test(name, () =>
      assert.rejects(connect(address), (error) => {
        assert.ok(isFerry(error));
        assert.match(`${error.code}: ${error.detail}`, says);
        assert.doesNotMatch(error.message, /wrong|k3y-secret/);
        return true;
      }),
    );

  await t.test("without TLS to a server that requires it", async () => {
    await mongod.root.db("admin").command({ setParameter: 1, tlsMode: "requireTLS" });
    await assert.rejects(
      connect(uri(login("SCRAM-SHA-256"), {})),
      /connecting to the source, .*may require TLS \(tls=true\)/,
    );
  });

  await t.test("ferry run reads the source by a certificate", async () => {
    const from = uri("", { ...x509, replicaSet: "rs0" });
    await using here = await connectMongo(from, { appName: "test" });
    await using there = await connectMongo(plain.uri, { appName: "test" });
    await here.db("secured").collection("users").insertOne({ n: 1 });
    await using run = await startDirect({ source: from, target: plain.uri, include: ["secured.users"] });
    await run.says("copy finished");
    await directConverged(here, there, "secured.users");
  });

  await t.test("ferry run reads the source by mongodb+srv, and copies from a member of its set", async () => {
    await using here = await connectMongo(srv, { appName: "test" });
    await using there = await connectMongo(plain.uri, { appName: "test" });
    await here.db("named").collection("users").insertOne({ n: 1 });
    await using run = await startDirect({
      source: srv,
      target: plain.uri,
      include: ["named.users"],
      args: ["--state-db", "ferry_named", "--read-preference", "secondaryPreferred"],
      env: { FERRY_TEST_DNS: dns.address, NODE_OPTIONS: `--import=${join(process.cwd(), "test/harness/useDns.ts")}` },
    });
    await run.says("copy finished");
    await directConverged(here, there, "named.users");
  });
});

test("a URI that takes any certificate is refused, unless a flag names its side", async () => {
  for (const option of ["tlsInsecure=true", "tlsAllowInvalidCertificates=true", "TLSALLOWINVALIDHOSTNAMES=true"]) {
    const uri = `mongodb://127.0.0.1:1/?tls=true&${option}`;
    const { status, err } = await ferry(["dlq", "list"], { env: { FERRY_TARGET: uri } });
    assert.equal(status, 64, err);
    assert.match(err, /FERRY_TLS_UNCHECKED: the target's URI has tls\w+: .*--tls-unchecked/is);
  }
  const env = { FERRY_TARGET: "mongodb://127.0.0.1:1/?tls=true&tlsInsecure=true" };
  assert.match((await ferry(["dlq", "list", "--tls-unchecked", "source"], { env })).err, /FERRY_TLS_UNCHECKED/);
  assert.match((await ferry(["dlq", "list", "--tls-unchecked", "target"], { env })).err, /FERRY_MONGO_UNREACHABLE/);
});
