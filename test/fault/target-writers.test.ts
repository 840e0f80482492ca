import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BSON } from "bson";
import type { Collection, Document } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { type Random, seeded } from "#tools/workload/people.ts";
import { booksOf } from "../harness/books.ts";
import { Crew } from "../harness/crew.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { testSeed } from "../harness/load.ts";
import { type OwnStack, ownStack, streams } from "../harness/ownStack.ts";
import { createTopic, recommendedConnector, startConnector } from "../harness/workerConnector.ts";

const POLICIES = { mirrored: "mirror", merged: "merge", kept: "keep-target" } as const;
const COLLECTIONS = Object.keys(POLICIES);
const KEYS = 150;
const WRITERS = 100;

type User = { _id: number } & Document;

/** Source services: whole documents, single fields, deletes, and documents that come back. Every version has a number of its own. */
const writeSource = async (users: Collection<User>, random: Random, stamp: number): Promise<void> => {
  const _id = Math.floor(random() * KEYS);
  const dice = random();
  if (dice < 0.1) await users.deleteOne({ _id });
  else if (dice < 0.3) await users.replaceOne({ _id }, userOf(_id, stamp, random), { upsert: true });
  else if (dice < 0.6) await users.updateOne({ _id }, { $set: { stamp, city: `c${stamp}` } });
  else await users.updateOne({ _id }, { $set: { stamp, "address.zip": `z${stamp}` } });
};

const userOf = (_id: number, stamp: number, random: Random): User => ({
  _id,
  stamp,
  name: `n${stamp}`,
  ...(random() < 0.7 ? { city: `c${stamp}` } : {}),
  address: { zip: `z${stamp}`, street: `s${stamp}` },
});

/** What target services did to one document: how often each of their own fields was counted up, and the source's versions that they saw. */
type Touched = { visits: number; notes: number; stamps: Set<number> };

/** Target services: fields of their own, at the top and inside of the source's, and now and then a field of the source's. */
const writeTarget = async (users: Collection<User>, random: Random, model: Map<number, Touched>): Promise<void> => {
  const _id = Math.floor(random() * KEYS);
  const dice = random();
  const [visits, notes] = [dice < 0.6 ? 1 : 0, dice >= 0.4 && dice < 0.8 ? 1 : 0];
  const counted = { ...(visits > 0 ? { visits } : {}), ...(notes > 0 ? { "address.notes": notes } : {}) };
  const update = dice < 0.8 ? { $inc: counted } : { $set: { city: "of the target" } };
  const after = await users.findOneAndUpdate({ _id }, update, { returnDocument: "after" });
  if (after === null) return;
  const touched = model.get(_id) ?? { visits: 0, notes: 0, stamps: new Set() };
  model.set(_id, touched);
  touched.visits += visits;
  touched.notes += notes;
  touched.stamps.add(after["stamp"]);
};

/** Writers until they are stopped; which document and what depends on the seed alone. */
const startWriters = (seed: number, write: (random: Random) => Promise<void>): (() => Promise<void>) => {
  const ending = new AbortController();
  const all = Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const random = seeded(seed + writer * 7919);
      while (!ending.signal.aborted) {
        await write(random);
        await systemClock.sleep(random() * 600, ending.signal).catch(() => undefined);
      }
    }),
  );
  all.catch(() => undefined); // reported when they are stopped
  return async () => {
    ending.abort();
    await all;
  };
};

const bytesById = async (users: Collection<User>): Promise<Map<number, Buffer>> => {
  const found = (await users.find({}, { raw: true }).toArray()) as unknown as Buffer[];
  return new Map(found.map((bytes) => [BSON.deserialize(bytes)["_id"] as number, Buffer.from(bytes)]));
};

const applied = async ({ broker, targetClient }: OwnStack): Promise<void> => {
  await using client = new KafkaClient({ bootstrap: broker.bootstrap, clientId: "test", group: "test" });
  const lanes = targetClient.db("ferry").collection<LaneRecord>("lanes");
  let before = "";
  await waitFor(
    async () => {
      const ends = await Promise.all(COLLECTIONS.map((coll) => client.offsets(`test.${coll}`, "latest")));
      const behind: string[] = [];
      for (const { _id, topic, partition, offset } of await lanes.find().toArray()) {
        const end = ends[COLLECTIONS.indexOf(topic.slice("test.".length))]?.[partition] ?? 0;
        if (Number(offset) < end) behind.push(`${_id} at ${offset} of ${end}`);
      }
      const now = JSON.stringify(ends);
      const still = now === before;
      before = now;
      return behind.length === 0 && still ? { done: undefined } : { seen: { ends, behind } };
    },
    { what: "every topic to be applied", clock: systemClock, timeoutMs: 120_000, everyMs: 1000 },
  );
};

const without = (bytes: Uint8Array, names: readonly string[]): Document => {
  const document = BSON.deserialize(bytes);
  for (const name of names) delete document[name];
  if (document["address"] !== undefined) delete document["address"].notes;
  return document;
};

/** How a collection ended: the source's documents, the target's, and what target services know that they did. */
type Ended = Readonly<{ theirs: Map<number, Buffer>; ours: Map<number, Buffer>; model: Map<number, Touched> }>;

/** The source's fields as it has them, and nothing lost of what is the target's own. */
const checkMerged = ({ theirs, ours, model }: Ended): void => {
  for (let _id = 0; _id < KEYS; _id++) {
    const [mine, wanted] = [ours.get(_id), theirs.get(_id)];
    const { visits, notes } = model.get(_id) ?? { visits: 0, notes: 0 };
    const own: Document = mine === undefined ? {} : BSON.deserialize(mine);
    assert.deepEqual(
      [own["visits"] ?? 0, own["address"]?.notes ?? 0],
      [visits, notes],
      `the target's fields of ${_id}`,
    );
    if (wanted === undefined) checkRemainder(own);
    else assert.deepEqual(mine && without(mine, ["visits"]), BSON.deserialize(wanted), `the source's fields of ${_id}`);
  }
};

/** What stays of a document that the source has deleted: the target's own, and what its services wrote since. */
const checkRemainder = ({ _id, visits, address, city = "of the target", ...more }: Document): void => {
  assert.deepEqual([more, city], [{}, "of the target"], `what is left of ${_id} with ${visits} visits`);
  assert.deepEqual(Object.keys(address ?? { notes: 1 }), ["notes"]);
};

/** What a target service has touched stays at the version that it touched; the others follow the source. */
const checkKept = ({ theirs, ours, model }: Ended): void => {
  for (let _id = 0; _id < KEYS; _id++) {
    const [mine, touched] = [ours.get(_id), model.get(_id)];
    if (touched === undefined) assert.deepEqual(mine, theirs.get(_id), `untouched ${_id}`);
    else assert.deepEqual([...touched.stamps], [mine && BSON.deserialize(mine)["stamp"]], `versions of ${_id}`);
  }
};

test("100 source writers and 100 target writers on the same documents, workers killed: each policy ends as it promises", async () => {
  const seed = testSeed();
  const random = seeded(seed);
  await using stack = await ownStack();
  const { source, target, broker, connectServer, sourceClient, targetClient } = stack;
  const sides = (coll: string) => ({
    from: sourceClient.db("test").collection<User>(coll),
    to: targetClient.db("test").collection<User>(coll),
  });
  for (const coll of COLLECTIONS) {
    await createTopic(broker.bootstrap, `test.${coll}`, 2);
    await sides(coll).from.insertMany(Array.from({ length: KEYS }, (_, _id) => userOf(_id, 0, random)));
  }
  await startConnector(connectServer.url, "writers", {
    ...recommendedConnector(source.uri, "test", "merged"),
    pipeline: JSON.stringify([{ $match: { "ns.coll": { $in: COLLECTIONS } } }]),
    "startup.mode.copy.existing.namespace.regex": `^test\\.(${COLLECTIONS.join("|")})$`,
  });
  const config = join(tempFolder().path, "ferry.yaml");
  const routes = Object.entries(POLICIES).map(([coll, policy]) => `  - { from: test.${coll}, conflict: ${policy} }\n`);
  writeFileSync(config, `routes:\n${routes.join("")}`);
  await using crew = new Crew({
    target: target.uri,
    source: source.uri,
    kafka: broker.bootstrap,
    args: ["--config", config],
  });
  await crew.hire(2);
  for (const coll of COLLECTIONS) await streams(stack, `test.${coll}`);

  let stamp = 0;
  const models = new Map(COLLECTIONS.map((coll) => [coll, new Map<number, Touched>()]));
  const anyOf = (random: Random): string => COLLECTIONS[Math.floor(random() * COLLECTIONS.length)] as string;
  const stopSource = startWriters(seed, (own) => writeSource(sides(anyOf(own)).from, own, ++stamp));
  const stopTarget = startWriters(seed + 1, (own) => {
    const coll = anyOf(own);
    return writeTarget(sides(coll).to, own, models.get(coll) as Map<number, Touched>);
  });
  for (let kill = 0; kill < 5; kill++) {
    await systemClock.sleep(1500 + random() * 1500); // the moment of the kill is the point
    await crew.killOne(random);
  }
  await stopTarget();
  await stopSource();
  // The source has the last word: whatever it owns must be as it says, and what it deletes goes.
  for (const coll of COLLECTIONS)
    for (let _id = 0; _id < KEYS; _id++) {
      if (_id % 10 === 0) await sides(coll).from.deleteOne({ _id });
      else await sides(coll).from.replaceOne({ _id }, userOf(_id, ++stamp, random), { upsert: true });
    }
  await applied(stack);
  crew.check();

  const ended = async (coll: string): Promise<Ended> => {
    const { from, to } = sides(coll);
    return { theirs: await bytesById(from), ours: await bytesById(to), model: models.get(coll) ?? new Map() };
  };
  const mirrored = await ended("mirrored");
  assert.deepEqual(mirrored.ours, mirrored.theirs);
  checkMerged(await ended("merged"));
  checkKept(await ended("kept"));

  const told = new Map<string, number>();
  for (const coll of COLLECTIONS) {
    const books = await booksOf(targetClient, broker.bootstrap, `test.${coll}`);
    assert.equal(books.dead, 0);
    const args = ["conflicts", "--route", `test.${coll}`, "--json", "--limit", "100000", "--target", target.uri];
    told.set(coll, (JSON.parse((await ferry(args)).out) as Document[]).length);
  }
  const touches = COLLECTIONS.map((coll) => models.get(coll)?.size);
  console.log(`${stamp} source versions, documents touched ${touches}, conflicts ${[...told.values()]}`);
  assert.equal(told.get("mirrored"), 0);
  assert.ok((told.get("merged") ?? 0) > 0 && (told.get("kept") ?? 0) > 0);
});
