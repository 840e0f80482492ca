import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import fc from "fast-check";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { forgetRoutes, knownRoutes, requireIdle } from "#io/state/forgetRoutes.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const PER_ROUTE = ["deadLetters", "drift", "conflicts", "lanes", "verificationFindings", "repairs", "partitions"];

/** What a route leaves in every collection, with two letters that are too large for one document. */
const begun = async (mongo: MemoryMongo, route: string): Promise<void> => {
  const state = mongo.state();
  for (const name of PER_ROUTE as readonly "lanes"[])
    await state.collection(name).insertOne({ _id: `${name} ${route}`, route, topic: route } as object);
  for (const name of ["touched", "settled"] as const)
    await state.collection(name).insertOne({ _id: { route, key: 1 } } as object);
  for (const name of ["verification", "runs"] as const)
    await state.collection(name).insertOne({ _id: route } as object);
  for (const letter of [`${route}/0/7`, `${route}/12/345`])
    await state.collection("deadLetterChunks").insertOne({ _id: `${letter}/0`, letter } as object);
  await state.collection("driftDecisions").insertOne({ _id: `decision ${route}`, route } as object);
};

/** Everything that is there, by collection. */
const contents = (mongo: MemoryMongo): unknown =>
  mongo
    .names()
    .map(
      (name) =>
        [
          name,
          mongo
            .documents(name)
            .map((document) => JSON.stringify(document))
            .sort(),
        ] as const,
    )
    .filter(([, documents]) => documents.length > 0);

/** Names that are near each other: one is the other's beginning, or its pattern, or looks like one of its partitions. */
const ROUTE = fc
  .array(fc.constantFrom("a", "b", ".", "/", "+", "(", "$", "\\", "/0", "/0/7", ">c.d"), { minLength: 1, maxLength: 4 })
  .map((parts) => `s.${parts.join("")}`);

test("nothing is left of a route that is forgotten but what was decided, and nothing of another one goes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(ROUTE, { minLength: 2, maxLength: 5 }), fc.nat(4), async (routes, count) => {
      const [mongo, expected] = [new MemoryMongo(), new MemoryMongo()];
      const gone = routes.slice(0, count);
      for (const route of routes) await begun(mongo, route);
      for (const route of routes.slice(count)) await begun(expected, route);
      for (const route of gone)
        await expected
          .state()
          .collection("driftDecisions")
          .insertOne({ _id: `decision ${route}`, route } as object);
      await forgetRoutes(mongo.state(), gone);
      assert.deepEqual(contents(mongo), contents(expected));
    }),
    { numRuns: 200 },
  );
});

test("after a kill between any two steps the route is known until all of it is gone, and forgetting it again ends it", async () => {
  const complete = new MemoryMongo();
  await begun(complete, "s.a");
  let steps = 0;
  complete.gate = () => void steps++;
  await forgetRoutes(complete.state(), ["s.a"]);
  for (let killed = 1; killed <= steps; killed++) {
    const mongo = new MemoryMongo();
    await begun(mongo, "s.a");
    let step = 0;
    mongo.gate = () => {
      if (++step === killed) throw new FerryError("FERRY_MONGO_TRANSIENT", "killed");
    };
    await assert.rejects(forgetRoutes(mongo.state(), ["s.a"]), (error) => isFerry(error, "FERRY_MONGO_TRANSIENT"));
    const known = await knownRoutes(mongo.state(), () => true);
    assert.deepEqual(
      known.map(({ route }) => route),
      ["s.a"],
      `killed in step ${killed}`,
    );
    await forgetRoutes(mongo.state(), ["s.a"]);
    assert.deepEqual(contents(mongo), contents(complete));
  }
});

test("a route whose partition a worker owns is not forgotten; a lease that has passed, and none, keep nothing", async () => {
  const mongo = new MemoryMongo();
  const partitions = mongo.state().collection("partitions");
  const owned = (route: string, owner: string | null, ms: number): Promise<unknown> =>
    partitions.insertOne({
      _id: `${route}/3`,
      route,
      partition: 3,
      owner,
      expiresAt: new Date(mongo.now + ms),
    } as object);
  await owned("s.alive", "w1", 1);
  await owned("s.left", "w1", -1);
  await owned("s.free", null, 1);
  await requireIdle(mongo.state(), ["s.left", "s.free"]);
  const before = contents(mongo);
  await assert.rejects(
    forgetRoutes(mongo.state(), ["s.free", "s.alive"]),
    (error) => isFerry(error, "FERRY_STRUCTURE_BUSY") && error.detail === "w1 works on partition 3 of s.alive",
  );
  assert.deepEqual(contents(mongo), before);
});

test("a route with many partitions is known once, with its topic", async () => {
  const mongo = new MemoryMongo();
  const known = { route: "r", topic: "s.a", topicId: "t1", at: Timestamp.fromBits(0, 0) };
  for (const partition of [0, 1, 2])
    await mongo
      .state()
      .collection("partitions")
      .insertOne({ _id: `r/${partition}`, ...known } as object);
  await begun(mongo, "s.b");
  const found = await knownRoutes(mongo.state(), ({ topicId }) => topicId === "t1");
  assert.deepEqual(
    found.map(({ route, topic }) => [route, topic]),
    [["r", "s.a"]],
  );
});
