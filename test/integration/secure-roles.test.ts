import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Binary, BSON, type Document, type MongoClient, ObjectId } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { rawDelete, rawInsert, rawUpdate } from "#io/mongo/rawWrites.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { listNamespaces, noteStart } from "#source/stream/sourceProbe.ts";
import { type CommandBody, command } from "#structure/build/build.ts";
import { rebuildCapped } from "#structure/build/capped.ts";
import { readStructure } from "#structure/model/read.ts";
import { ACL_ROLES, type AclPart } from "#tools/check/kafkaAcls.ts";
import { javaArgs } from "#tools/stack/java.ts";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { freePorts } from "#tools/stack/ports.ts";
import { runProgram } from "#tools/stack/process.ts";
import { directConverged, endCapture, startCapture, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { type Guarded, guarded } from "../harness/guarded.ts";
import { createPrinted, type Role, readScript } from "../harness/printedRoles.ts";
import { kafka } from "../harness/servers.ts";
import { optionsOf } from "../harness/specs.ts";
import { FerryProcess, startWorker } from "../harness/worker.ts";

const folder = tempFolder();
const servers = new AsyncDisposableStack();
after(async () => {
  await servers.disposeAsync();
  folder[Symbol.dispose]();
});

type Sides = Readonly<{ source: Guarded; target: Guarded }>;

const started = (async (): Promise<Sides> => {
  const [source, target] = await Promise.all(
    ["source", "target"].map((name) => guarded(folder.path, { name })) as [Promise<Guarded>, Promise<Guarded>],
  );
  servers.use(source);
  servers.use(target);
  return { source, target };
})();

/** Both sides, each with the users that `ferry check --print-roles` prints for a run over one database. */
const sidesFor = async (db: string): Promise<Sides> => {
  const { source, target } = await started;
  const { status, out, err } = await ferry([
    "check",
    "--print-roles",
    "--include",
    `${db}.*`,
    "--state-db",
    `ferry_${db}`,
  ]);
  assert.equal(status, 0, err);
  const printed = readScript(out);
  await createPrinted(source.root, printed.source);
  await createPrinted(target.root, printed.target);
  return { source, target };
};

/** What tells a cluster's id and a fence, where it may be asked; ferry does without. */
const ASKED = /execute command \{ (?:replSetGetConfig|serverStatus):/;

/** What else a server has refused to a user, as its log has it. */
const refusals = ({ server }: Guarded): readonly string[] =>
  readFileSync(server.logFile, "utf8")
    .split("\n")
    .filter((line) => /not authorized/.test(line) && !ASKED.test(line));

/** Flags of a command that connects to both sides as one of the printed users. */
const urls = ({ source, target }: Sides, db: string, user: string, there = user): string[] => [
  ...["--source", source.uri(`ferry-${user}`), "--target", target.uri(`ferry-${there}`), "--state-db", `ferry_${db}`],
];

const SWITCH = [
  ...["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s", "--max-pause", "20s"],
  ...["--on-release", "exit 0", "--fence", "validator"],
];

test("the printed users are enough to carry, to verify, to switch over, and to carry back", async () => {
  const both = await sidesFor("roles");
  const [here, there] = [both.source.root, both.target.root];
  const shop = here.db("roles");
  await shop.collection("users").insertMany(Array.from({ length: 200 }, (_, n) => ({ n })));
  await shop.collection("users").createIndex({ n: 1 }, { unique: true, sparse: true });
  await shop.createCollection("log", { capped: true, size: 4096, validator: { n: { $exists: true } } });
  await shop.collection("log").insertOne({ n: 1 });
  await shop.createCollection("seen", { viewOn: "users", pipeline: [] });
  const checked = await ferry(["check", ...urls(both, "roles", "source", "target"), "--include", "roles.*"]);
  assert.equal(checked.status, 0, checked.out);
  assert.doesNotMatch(checked.out, /^(warn|FAIL)/m);
  assert.match(checked.out, /^ok .*by this user a cutover could raise no fence on the source: .*lacks/m);

  await using run = await startDirect({
    source: both.source.uri("ferry-source"),
    target: both.target.uri("ferry-target"),
    include: ["roles.*"],
    args: ["--state-db", "ferry_roles"],
  });
  await run.says("copy finished");
  await shop.collection("users").updateMany({ n: { $lt: 50 } }, { $set: { old: true } });
  await shop.collection("users").createIndex({ old: 1 }, { name: "old" });
  await shop.collection("users").dropIndex("old");
  await shop.command({ collMod: "users", validationLevel: "moderate" });
  await directConverged(here, there, "roles.users");
  const verified = await ferry(["verify", ...urls(both, "roles", "verify"), "--include", "roles.*"]);
  assert.equal(verified.status, 0, verified.out + verified.err);

  await shop.collection("gone").insertOne({ n: 1 });
  await directConverged(here, there, "roles.gone");
  await shop.collection("gone").rename("kept");
  await shop.collection("kept").drop();
  await directConverged(here, there, "roles.users");

  const over = await ferry(["cutover", ...urls(both, "roles", "cutover"), ...SWITCH]);
  assert.equal(over.status, 0, over.out + over.err + run.logTail(10));
  assert.equal((await run.exited).code, 0);
  const shown = await ferry(["status", "--target", both.target.uri("ferry-target"), "--state-db", "ferry_roles"]);
  assert.equal(shown.status, 0, shown.out + shown.err);

  const flags = ["run", "--reverse", ...urls(both, "roles", "rollback"), "--include", "roles.*", "--lease-ms", "1500"];
  await using reverse = new FerryProcess("reverse", flags, {}, "carrying back");
  await reverse.start();
  await there.db("roles").collection("users").insertOne({ n: 1000 });
  await waitFor(
    async () =>
      (await shop.collection("users").findOne({ n: 1000 })) === null
        ? { seen: reverse.logTail(5) }
        : { done: undefined },
    { what: "the former source to follow", clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
  );
  const same = await ferry(["verify", "--reverse", ...urls(both, "roles", "rollback"), "--include", "roles.*"]);
  assert.equal(same.status, 0, same.out + same.err);
  const back = await ferry(["rollback", ...urls(both, "roles", "rollback"), ...SWITCH]);
  assert.equal(back.status, 0, back.out + back.err + reverse.logTail(10));
  assert.equal((await reverse.exited).code, 0);
  assert.deepEqual(refusals(both.source), []);
  assert.deepEqual(refusals(both.target), []);
});

/** A broker that allows nothing that is not granted, with a listener for logins; on its other one a client may do everything. */
const strictBroker = async () => {
  const users = Object.fromEntries(ACL_ROLES.map(({ principal }) => [principal, `${principal}-password`]));
  const known = Object.entries(users).map(([user, password]) => `user_${user}="${password}"`);
  const module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
  const [port = 0, controllerPort = 0, login = 0] = await freePorts(3);
  const listeners = [`PLAINTEXT://127.0.0.1:${port}`, `LOGIN://127.0.0.1:${login}`];
  const broker = await kafka({
    port,
    controllerPort,
    props: {
      listeners: [...listeners, `CONTROLLER://127.0.0.1:${controllerPort}`].join(","),
      "advertised.listeners": listeners.join(","),
      "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "listener.name.login.sasl.enabled.mechanisms": "PLAIN",
      "listener.name.login.plain.sasl.jaas.config": `${module} ${known.join(" ")};`,
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": "User:ANONYMOUS",
    },
  });
  servers.use(broker);
  /** Flags of a command that logs in as this principal. */
  const as = (part: AclPart): string[] => {
    const user = `ferry-${part}`;
    const file = join(folder.path, `${user}.properties`);
    writeFileSync(
      file,
      [
        "security.protocol=SASL_PLAINTEXT",
        "sasl.mechanism=PLAIN",
        `sasl.jaas.config=${module} username="${user}" password="${users[user]}";`,
      ].join("\n"),
    );
    return ["--kafka-config", file];
  };
  return { broker, login: `127.0.0.1:${login}`, as };
};

/** Runs printed commands with Kafka's own tool. */
const runAcls = async (script: string): Promise<void> => {
  const java = await ensureJava(() => undefined);
  const args = [...javaArgs("128m", await ensureKafka(() => undefined)), "org.apache.kafka.tools.AclCommand"];
  const commands = script.split("\n").filter((line) => line.startsWith("kafka-acls.sh "));
  await Promise.all(
    commands.map(async (line) => {
      const words = line
        .split(" ")
        .slice(1)
        .map((word) => word.replaceAll("'", ""));
      const { code, stdout, stderr } = await runProgram(java, [...args, ...words], { timeoutMs: 120_000 });
      assert.equal(code, 0, line + stdout + stderr);
    }),
  );
};

test("the printed rights on Kafka are enough for capture, worker, status, and a cutover; less is named", async () => {
  const both = await sidesFor("queued");
  const [here, there] = [both.source.root, both.target.root];
  const { broker, login, as } = await strictBroker();
  const printed = await ferry(["check", "--print-acls", "--include", "queued.orders", "--kafka", broker.bootstrap]);
  assert.equal(printed.status, 0, printed.err);
  const orders = here.db("queued").collection("orders");
  await orders.insertMany(Array.from({ length: 100 }, (_, n) => ({ n })));
  const state = ["--state-db", "ferry_queued"];
  const start = { source: both.source.uri("ferry-source"), target: both.target.uri("ferry-target"), kafka: login };
  const refused = await endCapture({ ...start, include: ["queued.orders"], args: [...state, ...as("capture")] });
  assert.equal(refused.status, 77, refused.err);
  assert.match(refused.err, /FERRY_KAFKA_ACL: creating topic queued\.orders: .*print-acls/s);
  await runAcls(printed.out);

  await using capture = await startCapture({
    ...start,
    include: ["queued.orders"],
    args: [...state, ...as("capture")],
  });
  await using worker = await startWorker({ ...start, args: [...state, ...as("worker"), "--topics", "queued.orders"] });
  await capture.says("copy finished");
  await orders.updateMany({ n: { $lt: 50 } }, { $set: { old: true } });
  await directConverged(here, there, "queued.orders");
  const kafkaFlags = ["--kafka", login, ...as("status")];
  const shown = await ferry(["status", "--target", both.target.uri("ferry-target"), ...state, ...kafkaFlags]);
  assert.equal(shown.status, 0, shown.out + shown.err);
  assert.match(shown.out, /queued\.orders/);
  const checked = await ferry(["check", ...kafkaFlags]);
  assert.equal(checked.status, 0, checked.out);
  const verified = await ferry([
    "verify",
    ...urls(both, "queued", "verify"),
    "--include",
    "queued.orders",
    ...kafkaFlags,
  ]);
  assert.equal(verified.status, 0, verified.out + verified.err);
  const over = await ferry(["cutover", ...urls(both, "queued", "cutover"), ...SWITCH, ...kafkaFlags]);
  assert.equal(over.status, 0, over.out + over.err + capture.logTail(5) + worker.logTail(5));
  assert.doesNotMatch(capture.log() + worker.log(), /AUTHORIZATION|FERRY_KAFKA_ACL/);
});

/** The role without an action, wherever it is granted, for as long as `work` takes. */
const without = async ({ root }: Guarded, role: string, action: string, work: () => Promise<void>): Promise<void> => {
  const admin = root.db("admin");
  const [{ privileges }] = (await admin.command({ rolesInfo: role, showPrivileges: true }))["roles"];
  const less = (privileges as Role["privileges"])
    .map(({ resource, actions }) => ({ resource, actions: actions.filter((one) => one !== action) }))
    .filter(({ actions }) => actions.length > 0);
  await admin.command({ updateRole: role, privileges: less });
  try {
    await work();
  } finally {
    await admin.command({ updateRole: role, privileges });
  }
};

const NS = { db: "needed", coll: "users" } as const;

/** What ferry does by each action of a role. A probe may be made again and again. */
type Probes = Readonly<Record<string, () => Promise<unknown>>>;

const sourceProbes = (source: MongoClient): Probes => ({
  find: () => readByKeys(source, NS.db, NS.coll, [BSON.serialize({ _id: 1 })]),
  changeStream: () => noteStart(source, { level: "database", db: NS.db, coll: "" }),
  listCollections: () => listNamespaces(source, { level: "database", db: NS.db, coll: "" }),
  listIndexes: () => readStructure(source, { databases: [NS.db], includes: () => true }),
});

const targetProbes = (target: MongoClient): Probes => {
  const [db, sink] = [target.db(NS.db), new MongoSink(target, NS)];
  const call = { db, coll: NS.coll, ordered: true };
  const { signal } = new AbortController();
  const deps = { target, store: undefined as never, clock: systemClock, signal, report: () => undefined };
  const does = (body: Document) => command(deps, NS.db, "a step of the structure", body as CommandBody);
  const capped = async () => {
    const ns = { db: NS.db, coll: `made-${randomUUID()}` };
    await new MongoSink(target, ns).prepare();
    await rebuildCapped(deps, ns, optionsOf({ capped: true, size: 4096 }), undefined);
  };
  const key = BSON.serialize({ q: { _id: 1 }, limit: 1 });
  return {
    find: () => sink.look(),
    insert: async () => rawInsert([BSON.serialize({ _id: new ObjectId() })], call),
    update: () => rawUpdate([BSON.serialize({ q: { _id: 1 }, u: { $set: { n: 1 } }, upsert: true })], call),
    remove: () => rawDelete([key], call),
    listCollections: () => sink.uuid(),
    createCollection: () => does({ create: `view-${randomUUID()}`, viewOn: NS.coll, pipeline: [] }),
    dropCollection: async () => sink.drop((await sink.uuid()) ?? new Binary()).then(() => sink.prepare()),
    listIndexes: () => readStructure(target, { databases: [NS.db], includes: () => true }),
    createIndex: () => does({ createIndexes: NS.coll, indexes: [{ key: { n: 1 }, name: "n" }] }),
    dropIndex: () => does({ dropIndexes: NS.coll, index: "*" }),
    collMod: () => does({ collMod: NS.coll, validationLevel: "moderate" }),
    convertToCapped: capped,
    changeStream: () => noteStart(target, { level: "collection", ...NS }),
  };
};

test("each action of a role is needed: without it ferry names what the server refused", async () => {
  const both = await sidesFor("needed");
  await using source = await connectMongo(both.source.uri("ferry-source"), { appName: "test" });
  await using target = await connectMongo(both.target.uri("ferry-target"), { appName: "test" });
  for (const [server, role, probes] of [
    [both.source, "ferrySource", sourceProbes(source)],
    [both.target, "ferryTarget", targetProbes(target)],
  ] as const) {
    await server.root.db(NS.db).collection<{ _id: number }>(NS.coll).insertOne({ _id: 1 });
    for (const [action, probe] of Object.entries(probes)) {
      await probe();
      await without(server, role, action, () =>
        assert.rejects(
          async () => probe(),
          /FERRY_MONGO_PRIVILEGE: .*not authorized on (?:needed|admin)/,
          `${role}: ${action}`,
        ),
      );
    }
    const [{ privileges }] = (await server.root.db("admin").command({ rolesInfo: role, showPrivileges: true }))[
      "roles"
    ];
    const granted = (privileges as { resource: { db?: string }; actions: string[] }[])
      .filter(({ resource }) => resource.db === NS.db)
      .flatMap(({ actions }) => actions);
    const unproven = [...new Set(granted)].filter((action) => !(action in probes));
    assert.deepEqual(unproven, [], `${role} grants more on the documents than is needed`);
    assert.notEqual(
      refusals(server).length,
      0,
      "the server's log has its refusals, so that their absence says something",
    );
  }
});
