import assert from "node:assert/strict";
import { test } from "node:test";
import { type FerryError, isFerry } from "#base/errors/ferryError.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { databasesWithState, requireRoute, requireState } from "#io/state/knownState.ts";
import type { StateCollection } from "#io/state/stateDb.ts";
import { passing } from "../../../harness/memory/database.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const usage = (detail: string) => (error: unknown) =>
  isFerry(error, "FERRY_USAGE") && (error as FerryError).detail === detail;

test("preparing makes what a lane's transaction writes to, where it is missing, and every index; again it makes nothing", async () => {
  const mongo = new MemoryMongo();
  const made: string[] = [];
  mongo.gate = (command) => void (command.startsWith("create ") && made.push(command.slice("create ".length)));
  await mongo
    .state()
    .collection("lanes")
    .insertOne({ _id: "a.b/0/0" } as object);
  await mongo.state().prepare();
  assert.ok(!made.includes("lanes"), "it was there");
  for (const name of ["runs", "partitions", "deadLetters", "deadLetterChunks", "drift", "repairs"] as StateCollection[])
    assert.ok(made.includes(name), name);
  assert.ok(!made.includes("cutovers"), "no transaction writes there");
  assert.equal(mongo.indexes.get("deadLetters"), 2);
  made.length = 0;
  await mongo.state().prepare();
  assert.deepEqual(made, []);
});

test("two processes may prepare at the same time; what else refuses a collection comes out", async () => {
  const mongo = new MemoryMongo();
  const first = mongo.state().prepare();
  await mongo.state().prepare();
  await first;
  const away = new MemoryMongo();
  away.gate = (command) => {
    if (command === "create lanes") throw passing(ServerCode.HostUnreachable, "away");
  };
  await assert.rejects(away.state().prepare(), (error) => isFerry(error, "FERRY_MONGO_TRANSIENT"));
});

test("a database has ferry's state as soon as something ran with it: what a check or a probe leaves is none", async () => {
  const mongo = new MemoryMongo();
  const has = (name: string) => mongo.state(name).hasState();
  assert.equal(await has("ferry"), false);
  await mongo
    .state("probed")
    .collection("preflight")
    .insertOne({ _id: "x" } as object);
  await mongo
    .state("probed")
    .collection("probes")
    .insertOne({ _id: "x" } as object);
  assert.equal(await has("probed"), false);
  for (const [i, name] of (
    ["runs", "partitions", "workers", "connectors", "capture", "structure"] as const
  ).entries()) {
    await mongo
      .state(`ran${i}`)
      .collection(name)
      .insertOne({ _id: "x" } as object);
    assert.equal(await has(`ran${i}`), true, name);
  }
  assert.equal((await databasesWithState(mongo.client)).length, 6);
});

test("a name of one's own for the state must have some: otherwise the near ones are named", async () => {
  const mongo = new MemoryMongo();
  await requireState(mongo.state("ferry")); // the default, before anything ran
  await assert.rejects(
    requireState(mongo.state("ferry_shop")),
    usage("there is no state of ferry in database ferry_shop (--state-db); no other has any"),
  );
  for (const name of ["ferry_shops", "other"])
    await mongo
      .state(name)
      .collection("runs")
      .insertOne({ _id: "x" } as object);
  await requireState(mongo.state("ferry_shops"));
  await assert.rejects(
    requireState(mongo.state("ferry_shop")),
    usage(
      "there is no state of ferry in database ferry_shop (--state-db); it is in ferry_shops, other; did you mean ferry_shops?",
    ),
  );
});

test("a route that never ran is refused with those that did, whether a run or only a partition tells of them", async () => {
  const mongo = new MemoryMongo();
  const state = mongo.state();
  await requireRoute(state, undefined);
  await assert.rejects(requireRoute(state, "shop.user"), usage("no route shop.user has run; none has run yet"));
  await state.collection("runs").insertOne({ _id: "shop.users" } as object);
  for (const partition of [0, 1])
    await state.collection("partitions").insertOne({ _id: `crm.people/${partition}`, route: "crm.people" } as object);
  for (const route of ["shop.users", "crm.people"]) await requireRoute(state, route);
  await assert.rejects(
    requireRoute(state, "shop.user"),
    usage("no route shop.user has run; there are crm.people, shop.users; did you mean shop.users?"),
  );
});
