import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer as createWeb } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { CATALOGUE, type ErrorCode } from "#base/errors/catalogue.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { bareEnvironment, ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { mongo, sharedMongo } from "../harness/servers.ts";

/** What a user mistyped, and the answer. `exit` is that of the code unless given. */
type Case = Readonly<{
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  code: ErrorCode;
  says: RegExp;
}>;

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

/** Four at a time: each is a process of its own. */
const tryAll = async (cases: Readonly<Record<string, Case>>): Promise<void> => {
  const wrong: string[] = [];
  const waiting = Object.entries(cases);
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, { args, env = {}, code, says }] = next;
      const { status, out, err } = await ferry(args, { env });
      const told = `${out}${err}`;
      const isRight =
        status === CATALOGUE[code].exit &&
        told.includes(`${code}: `) &&
        says.test(told) &&
        !/FERRY_BUG|^ +at .*:\d+:\d+/m.test(told);
      if (!isRight) wrong.push(`${name} [${status}]: ${told.slice(0, 400)}`);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  assert.deepEqual(wrong, []);
};

/** Of each kind one that a process is given; all of them, without a process: badUri, badSettings and workerFlags in test/unit. */
test("what is wrong on the command line or in a file is one sentence, before anything connects", async () => {
  using folder = tempFolder();
  const file = (name: string, text: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  };
  const home = (name: string, text: string): Record<string, string> => {
    mkdirSync(join(folder.path, name));
    return { FERRY_HOME: join(file(join(name, "stack.json"), text), "..") };
  };
  const worker = (...args: string[]): string[] => [
    ...["worker", "--target", "mongodb://127.0.0.1:1", "--kafka", "127.0.0.1:1", ...args],
  ];
  const run = (...args: string[]): string[] => [
    ...["run", "--source", "mongodb://127.0.0.1:1", "--target", "mongodb://127.0.0.1:1", ...args],
  ];
  const usage = (args: readonly string[], says: RegExp): Case => ({ args, code: "FERRY_USAGE", says });
  const uri = (source: string, says: RegExp, code: ErrorCode = "FERRY_URI"): Case => ({
    args: ["gen-data"],
    env: { FERRY_SOURCE: source },
    code,
    says,
  });
  const tls = (options: string): string => `mongodb://127.0.0.1:1/?tls=true&${options}`;
  const routes = (rule: string): string =>
    file(`${randomBytes(4).toString("hex")}.yaml`, `routes: [{ from: a.b, to: { mongodb: a.c }, ${rule} }]`);
  const notAFolder = file("plain", "x");
  await tryAll({
    "a password that is not encoded": uri("mongodb://ferry:p@ss:w/rd%1@localhost/", /percent-encoded.*\n.*%40/),
    "an unknown option": uri("mongodb://127.0.0.1:1/?relicaSet=x", /unknown option relicaSet; did you mean replicaSet/),
    "no CA file": uri(tls("tlsCAFile=/nowhere/ca.pem"), /tlsCAFile \/nowhere\/ca.pem: there is no/, "FERRY_TLS_FILE"),
    "an SRV name that does not exist": uri(
      "mongodb+srv://no.such.invalid/",
      /the SRV record _mongodb._tcp.no.such.invalid cannot be resolved/,
      "FERRY_MONGO_UNREACHABLE",
    ),
    "no file": {
      ...usage(["gen-data", "--source-file", "/nowhere"], /--source-file \/nowhere: there is no such file/),
    },
    "both forms": usage(["gen-data", "--source", "mongodb://a", "--source-file", notAFolder], /are both given/),
    "conflict merg": usage(
      worker("--conflict", "merg"),
      /--conflict must be one of refuse, mirror, merge, keep-target/,
    ),
    "spool-size": usage(run("--spool-size", "1e300"), /--spool-size must be/),
    "gen-data count": usage(["gen-data", "--source", "mongodb://a", "--count", "1e400"], /--count must be/),
    "gen-data clients": usage(["gen-data", "--source", "mongodb://a", "--clients", "1000000"], /--clients must be/),
    "gen-data system": usage(["gen-data", "--source", "mongodb://a", "--ns", "admin.system.users"], /--ns must be/),
    "kc limit": usage(["kc", "x", "--kafka", "127.0.0.1:1", "--limit", "-5"], /--limit must be/),
    "check ns": usage(["check", "--source", "mongodb://127.0.0.1:1", "--ns", "nodot"], /--ns must be a collection/),
    "kafka URL": usage(["kc", "x", "--kafka", "http://127.0.0.1:1"], /kafka is invalid/),
    "state-db of the server": usage(worker("--state-db", "admin"), /stateDb is invalid/),
    "no key of any mask": {
      args: ["config", "check", "--config", routes("fields: { mask: { x: { keepLst: 1 } } }")],
      code: "FERRY_CONFIG",
      says: /unknown key "keepLst"; did you mean "keepLast"/,
    },
    "a home that cannot be made": {
      args: ["stack", "up"],
      env: { FERRY_HOME: "/proc/nowhere" },
      code: "FERRY_FILE",
      says: /\/proc\/nowhere cannot be made/,
    },
    "a home that is a file": {
      args: ["stack", "down"],
      env: { FERRY_HOME: notAFolder },
      code: "FERRY_FILE",
      says: /cannot be made: a file of this name is in the way/,
    },
    "a damaged state file": {
      args: ["stack", "status"],
      env: home("damaged", "{"),
      code: "FERRY_STACK_STATE",
      says: /stack.json is not a state file of this version\n.*ferry stack reset/,
    },
    "a state file of another shape": {
      args: ["stack", "status"],
      env: home("shape", '{"version":1,"servers":[{}],"endpoints":5}'),
      code: "FERRY_STACK_STATE",
      says: /is not a state file/,
    },
    "a damaged state file where its endpoints are needed": {
      args: ["gen-data"],
      env: home("needed", "{"),
      code: "FERRY_STACK_STATE",
      says: /is not a state file/,
    },
  });
  const reset = await ferry(["stack", "reset"], { env: { FERRY_HOME: join(folder.path, "damaged") } });
  assert.deepEqual([reset.status, reset.err], [0, ""], "reset removes what it cannot read");
  assert.equal((await ferry(["stack", "status"], { env: { FERRY_HOME: join(folder.path, "damaged") } })).status, 69);
  const few = spawnSync("sh", ["-c", `ulimit -n 64 && exec ${process.execPath} src/surface/cli/main.ts stack up`], {
    env: { PATH: process.env["PATH"], FERRY_HOME: join(folder.path, "few") },
    encoding: "utf8",
  });
  assert.match(few.stderr, /FERRY_STACK_LIMIT: a process may have 64 files open/);
  assert.equal(few.status, CATALOGUE.FERRY_STACK_LIMIT.exit);
});

test("what real servers make of a mistake is one sentence with the status of its family", async () => {
  using folder = tempFolder();
  const key = join(folder.path, "key");
  writeFileSync(key, randomBytes(48).toString("base64"), { mode: 0o400 });
  const pem = join(folder.path, "server.pem");
  const make = spawnSync(
    "sh",
    [
      "-c",
      'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout k -out c && cat k c > "$0"',
      pem,
    ],
    { cwd: folder.path },
  );
  assert.equal(make.status, 0, make.stderr.toString());
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using alone = await mongo({ name: "alone", replSet: null });
  await using guarded = await mongo({ name: "guarded", args: ["--auth", "--keyFile", key] });
  const plain = await MongoClient.connect(source.uri);
  await plain.db("shop").collection("orders").insertOne({ n: 1 });
  await plain.db("shop").createCollection("view", { viewOn: "orders", pipeline: [] });
  await plain.close();
  const first = await MongoClient.connect(guarded.uri);
  await first.db("admin").command({ createUser: "root", pwd: "secret", roles: ["root"] });
  await first.close();
  const as = (user: string, password: string): string =>
    guarded.uri.replace("mongodb://", `mongodb://${user}:${password}@`).replace(/\/\?/, "/admin?");
  const web = createWeb((_, answer) => answer.end("hello"));
  const mute = createServer(() => undefined);
  const closing = createServer((socket) => socket.end());
  const [webPort, mutePort, closingPort] = [await listening(web), await listening(mute), await listening(closing)];
  const start = (from: string, include: string, ...more: string[]): Pick<Case, "args" | "env"> => ({
    args: ["run", "--include", include, ...more],
    env: { FERRY_SOURCE: from, FERRY_TARGET: target.uri },
  });
  const unreachable = (from: string, says: RegExp): Case => ({
    ...start(from, "shop.*"),
    code: "FERRY_MONGO_UNREACHABLE",
    says,
  });
  try {
    // A command that stays waits for who does not answer (docs/54-servers.md), and says so.
    const { args, env } = start(`mongodb://127.0.0.1:${mutePort}/`, "shop.*");
    const waiting = ferry(args, {
      env: env ?? {},
      stopWhen: /"msg":"waiting for the source"/,
    });
    await tryAll({
      "a port that speaks HTTP": unreachable(`mongodb://127.0.0.1:${webPort}/`, /no MongoDB server/),
      "a port that closes": unreachable(`mongodb://127.0.0.1:${closingPort}/`, /may require TLS/),
      "a port that is mute": {
        args: ["dlq", "list"],
        env: { FERRY_TARGET: `mongodb://127.0.0.1:${mutePort}/` },
        code: "FERRY_MONGO_UNREACHABLE",
        says: /127\.0\.0\.1/,
      },
      "another replica set": unreachable(source.uri.replace("rs0", "rsX"), /of the replica set rsX: check replicaSet/),
      "a read preference, which is not followed": {
        ...start(`${source.uri}&readPreference=secondary`, "shop.view"),
        code: "FERRY_SOURCE_NOTHING",
        says: /the source's URI: readPreference is not followed[\s\S]*shop\.view is a view/,
      },
      "a host that does not exist": unreachable("mongodb://no.such.invalid:1/", /ENOTFOUND no.such.invalid/),
      "a standalone source": {
        ...start(alone.uri, "shop.*"),
        code: "FERRY_SOURCE_STANDALONE",
        says: /not a replica set/,
      },
      "one server": {
        args: ["run"],
        env: { FERRY_SOURCE: source.uri, FERRY_TARGET: source.uri },
        code: "FERRY_SAME_SERVER",
        says: /same MongoDB deployment/,
      },
      "no login": { ...start(guarded.uri, "shop.*"), code: "FERRY_MONGO_ANONYMOUS", says: /requires authentication/ },
      "a wrong password": {
        ...start(as("root", "wrong"), "shop.*"),
        code: "FERRY_MONGO_AUTH",
        says: /Authentication failed/,
      },
      "a view": { ...start(source.uri, "shop.view"), code: "FERRY_SOURCE_NOTHING", says: /shop.view is a view/ },
      "a system collection": {
        ...start(source.uri, "shop.system.views"),
        code: "FERRY_USAGE",
        says: /belongs to the server/,
      },
      "a system database": {
        ...start(source.uri, "admin.*"),
        code: "FERRY_USAGE",
        says: /belongs to the server and cannot be selected/,
      },
      "the state's database": {
        ...start(source.uri, "shop.*", "--state-db", "shop"),
        code: "FERRY_USAGE",
        says: /ferry's own database, which cannot be selected; name another one with --state-db/,
      },
      "no such folder for letters": {
        args: ["dlq", "export", "--all", "--target", target.uri, "--out", "/no/where"],
        code: "FERRY_FILE",
        says: /\/no\/where: there is no such file/,
      },
      "a wait that is no number": {
        args: ["dlq", "replay", "--all", "--target", target.uri, "--wait-seconds", "x"],
        code: "FERRY_USAGE",
        says: /--wait-seconds must be/,
      },
      "something else than Connect": {
        args: ["del", "x", "--connect", `http://127.0.0.1:${webPort}`],
        code: "FERRY_CONNECT_OTHER",
        says: /text that is not JSON/,
      },
    });
    const { status, err } = await waiting;
    assert.ok(status === 130 || status === null, `${status} ${err}`); // of the SIGINT
    assert.match(err, /"err":"connecting to the source, mongodb:\/\/127\.0\.0\.1:\d+\/: [^"]+"/);
    assert.doesNotMatch(err, /FERRY_/);
  } finally {
    for (const server of [web, mute, closing]) server.close();
  }
  const asked = await ferry(["check", "--target", target.uri, "--include", "shop"], {
    env: { FERRY_SOURCE: as("root", "secret") },
  });
  assert.match(asked.out, /the oplog reaches back/);
  assert.doesNotMatch(asked.out, /oplog\.rs: ferry cannot warn/, "root reads the oplog");
  const everything = await ferry(["check", "--source", source.uri, "--target", target.uri]);
  assert.doesNotMatch(everything.out, /test\.users/, "nothing of a collection that was not asked for");
  assert.equal(everything.status, 0, everything.out);
});

test("a signal ends every command as itself: 130 for Ctrl-C, 143 for SIGTERM", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const env = { FERRY_SOURCE: source.uri, FERRY_TARGET: target.uri, FERRY_KAFKA: "127.0.0.1:1" };
  const client = await MongoClient.connect(source.uri);
  await client.db("signals").collection("users").insertOne({ n: 1 });
  const written = async (): Promise<boolean> => (await client.db("signals").collection("load").countDocuments()) > 0;
  const cases: readonly (readonly [args: readonly string[], isUp: (said: string) => boolean | Promise<boolean>])[] = [
    [
      ["cx", "deploy/recommended-connector.json", "--connect", "http://127.0.0.1:1"],
      (said) => /waiting for/.test(said),
    ],
    [["gen-data", "--workload", "mixed", "--duration", "60", "--ns", "signals.load"], written],
    [
      ["run", "--include", "signals.users", "--conflict", "mirror", "--state-db", "ferry_signals"],
      (said) => /target is a/.test(said),
    ],
  ];
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    for (const [args, isUp] of cases) {
      const child = spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", "src/surface/cli/main.ts", ...args],
        {
          env: bareEnvironment(env),
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
      await waitFor(async () => ((await isUp(said)) ? { done: undefined } : { seen: said }), {
        what: `${args[0]} to be at work`,
        clock: systemClock,
        timeoutMs: 60_000,
      });
      child.kill(signal);
      const [code, by] = await ended;
      assert.ok(code === status || by === signal, `${args[0]}: ${code} ${by} ${said}`);
      assert.doesNotMatch(said, /FERRY_BUG|FERRY_STOPPED/);
      await client.db("signals").collection("load").drop();
    }
  await client.close();
});
