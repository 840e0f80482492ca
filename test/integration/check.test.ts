import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { parseConfig } from "#base/config/configFile.ts";
import { systemClock } from "#base/flow/clock.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { sourceNeeds, sourceWishes, stateNeeds, writeNeeds } from "#io/mongo/needs.ts";
import { type Need, resourceOf, roleScript } from "#io/mongo/privileges.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { startConnector } from "#source/connector/gapFreeStart.ts";
import { buildStructure, finalize, type StructureDeps } from "#structure/operations/structureOperations.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import { checkSource, checkTarget } from "#tools/check/checkDatabases.ts";
import type { CheckResult } from "#tools/check/checkResult.ts";
import type { MongoServer } from "#tools/stack/mongod.ts";
import { CaptureBench, recommended, request } from "../harness/capture.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { mongo, sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";

const levels = (results: readonly CheckResult[], level: CheckResult["level"]): string[] =>
  results.filter((result) => result.level === level).map(({ sentence }) => sentence);

test("a stack that is well is found well, end to end", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  const urls = ["--source", source.uri, "--target", target.uri, "--kafka", kafka.bootstrap, "--connect", connect.url];
  const { status, out } = await ferry(["check", "--json", ...urls]);
  const results = JSON.parse(out) as CheckResult[];
  assert.equal(status, 0);
  assert.deepEqual(levels(results, "fail"), []);
  assert.deepEqual(
    [...new Set(results.map(({ area }) => area))],
    ["source", "target", "structure", "cutover", "kafka", "connect"],
  );
  assert.ok(levels(results, "ok").some((sentence) => /could fence the source by user-write-block or/.test(sentence)));
  assert.ok(levels(results, "ok").some((sentence) => /exactly once/.test(sentence)));
  assert.ok(levels(results, "ok").some((sentence) => /MongoDB source connector 2\./.test(sentence)));
});

test("Connect offers the MongoDB connector", async () => {
  const { url } = await sharedConnect();
  const plugins = (await (await fetch(`${url}/connector-plugins`)).json()) as { class: string }[];
  assert.ok(plugins.some((plugin) => plugin.class === "com.mongodb.kafka.connect.MongoSourceConnector"));
});

test("standalone servers: no change streams on the source, at-least-once on the target", async () => {
  await using alone = await mongo({ name: "alone", replSet: null });
  const client = await connectMongo(alone.uri, { appName: "test" });
  const source = await checkSource(client, "test");
  assert.match(levels(source, "fail").join(), /standalone server: it has no oplog/);
  const target = await checkTarget(client, ["test"], "ferry");
  assert.match(levels(target, "warn").join(), /at-least-once/);
  assert.deepEqual(levels(target, "fail"), []);
  await client.close();
  const asked = await ferry(["check", "--target", alone.uri, "--conflict", "merge"]);
  assert.equal(asked.status, 1);
  assert.match(
    asked.out,
    /FAIL {2}routes .*--conflict merge is not possible, .*\n {6}use mirror; .*not a standalone server/,
  );
});

test("what does not answer is a failed check with a remedy, and exit status 1", async () => {
  const { status, out } = await ferry([
    "check",
    "--source",
    "mongodb://127.0.0.1:1/",
    "--connect",
    "http://127.0.0.1:1",
  ]);
  assert.equal(status, 1);
  assert.match(out, /FAIL {2}source .*\n {6}Check that it runs/);
  assert.match(out, /FAIL {2}connect/);
});

/** A server that asks for passwords, with an administrator. */
const guarded = async (
  folder: string,
): Promise<{ server: MongoServer; admin: string; uri: (user: string) => string }> => {
  const keyFile = join(folder, "key");
  writeFileSync(keyFile, randomBytes(48).toString("base64"), { mode: 0o400 });
  const server = await mongo({ name: "guarded", args: ["--auth", "--keyFile", keyFile] });
  const uri = (user: string): string =>
    server.uri.replace("mongodb://", `mongodb://${user}:secret@`).replace(/\/\?/, "/admin?");
  const first = await MongoClient.connect(server.uri); // the localhost exception: one user may be made
  await first.db("admin").command({ createUser: "root", pwd: "secret", roles: ["root"] });
  await first.close();
  return { server, admin: uri("root"), uri };
};

const grant = async (admin: MongoClient, user: string, needs: readonly Need[]): Promise<void> => {
  const privileges = needs.map((need) => ({ resource: resourceOf(need), actions: need.actions }));
  const db = admin.db("admin");
  await db.command({ createRole: `${user}Role`, privileges, roles: [] });
  await db.command({ createUser: user, pwd: "secret", roles: [`${user}Role`] });
};

/** On one guarded server, from one database to the other: both roles' users, each with its own privileges. */
const structureWithRoles = async (b: CaptureBench, admin: MongoClient): Promise<void> => {
  await admin.db("shop").command({ createIndexes: "orders", indexes: [{ key: { n: 1 }, name: "n", unique: true }] });
  await admin.db("shop").createCollection("log", { capped: true, size: 4096, validator: { n: { $exists: true } } });
  await grant(admin, "other", [...writeNeeds("store"), ...stateNeeds("ferry")]);
  const uri = `mongodb://other:secret@${b.target.options.hosts[0]}/admin`;
  await using target = await connectMongo(uri, { appName: "test" });
  const routes = parseConfig(
    "routes: [{ from: shop.orders, to: { mongodb: store.orders } }, { from: shop.log, to: { mongodb: store.log } }]",
    "",
  ).routes;
  const state = new StateDb(target, "ferry");
  const deps: StructureDeps = {
    source: b.source,
    target,
    state,
    journal: new StructureStore(state),
    routes,
    include: [],
    exclude: [],
    clock: systemClock,
    signal: new AbortController().signal,
    report: () => undefined,
  };
  assert.deepEqual((await buildStructure(deps, { replace: true })).failures, []);
  assert.deepEqual(await finalize(deps), []);
};

test("what cannot be built is named with its reason", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [one, other] = await Promise.all([MongoClient.connect(source.uri), MongoClient.connect(target.uri)]);
  await one.db("struct").createCollection("weather", { timeseries: { timeField: "t" } });
  await one.db("struct").createCollection("users", { collation: { locale: "de" } });
  await other.db("struct").createCollection("users");
  await Promise.all([one.close(), other.close()]);
  const urls = ["--source", source.uri, "--target", target.uri];
  const { status, out } = await ferry(["check", ...urls, "--include", "struct"]);
  assert.equal(status, 1);
  assert.match(out, /FAIL {2}structure {2}struct\.users: the target has this collection with another collation\n/);
  assert.match(out, /warn {2}structure {2}struct\.weather: time series: built empty/);
  assert.match(out, /ok {4}structure {2}time series: 1 \(struct\.weather\); `ferry run` and `ferry capture` carry/);
  assert.match((await ferry(["check", ...urls, "--ns", "struct.users"])).out, /warn {2}structure {2}struct\.users/);
});

test("the printed roles are enough for check and for a gap-free start, and less is named", async () => {
  using folder = tempFolder();
  const { server, admin: adminUri, uri } = await guarded(folder.path);
  await using _ = server;
  const admin = await MongoClient.connect(adminUri);
  await grant(admin, "source", [...sourceNeeds("shop"), ...sourceWishes]);
  await grant(admin, "target", [...writeNeeds("shop"), ...stateNeeds("ferry")]);
  await grant(admin, "weak", [{ db: "shop", collection: "orders", actions: ["find"], why: "" }]);
  await admin
    .db("shop")
    .collection("orders")
    .insertMany([{ n: 1 }, { n: 2 }]);

  const weak = await connectMongo(uri("weak"), { appName: "test" });
  const [failed] = (await checkSource(weak, "shop")).filter(({ level }) => level === "fail");
  assert.match(failed?.sentence ?? "", /weak@admin lacks find, changeStream on shop\.\*/);
  assert.ok(failed?.remedy?.includes(roleScript("ferrySource", [...sourceNeeds("shop"), ...sourceWishes])));
  await weak.close();

  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  await using b = await CaptureBench.open({
    source: uri("source"),
    target: uri("target"),
    bootstrap: kafka.bootstrap,
    connect: connect.url,
  });
  assert.deepEqual(levels(await checkSource(b.source, "shop"), "fail"), []);
  assert.deepEqual(levels(await checkTarget(b.target, ["shop"], "ferry"), "fail"), []);
  const host = String(b.source.options.hosts[0]);
  const config = recommended(`mongodb://source:secret@${host}/?authSource=admin`, "shop", "orders");
  const { record } = await startConnector(request("guarded", config), b.deps);
  assert.equal(record.state, "streaming");
  await b.deps.rest.remove("guarded");
  await structureWithRoles(b, admin);
  await admin.close();
});
