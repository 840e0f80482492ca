import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { targetNamespace } from "#base/config/destination.ts";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { DdlEvent } from "#base/flow/types.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { type FollowerDeps, StructureFollower } from "#structure/follow/structureFollower.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

/** A route of one collection between two servers in memory, and what was done to its sink. */
class World {
  readonly source = new MemoryMongo();
  readonly target = new MemoryMongo();
  readonly store = new StructureStore(this.target.state());
  readonly hard = new AbortController();
  prepared = 0;
  warned: string[] = [];

  open(
    from: string,
    { to = from, ...deps }: Partial<FollowerDeps> & Readonly<{ to?: string }> = {},
  ): StructureFollower {
    const sink = { can: { structure: true }, prepare: async () => void this.prepared++ };
    return new StructureFollower({
      source: async () => this.source.client,
      target: this.target.client,
      state: this.target.state(),
      journal: this.store,
      route: { ...plainRoute(from), to: { mongodb: to } },
      sink,
      sinkOf: (route: Route) => new MongoSink(this.target.client, targetNamespace(route)),
      clock: new FakeClock(),
      logger: { warn: (_: object, text: string) => this.warned.push(text), info: () => undefined },
      hard: this.hard.signal,
      ...deps,
    } as unknown as FollowerDeps);
  }

  /** `ferry structure build` was asked for these. */
  async manages(...include: readonly string[]): Promise<void> {
    await this.store.rememberAsked({ include, exclude: [] });
  }
}

test("nothing is followed without a source, without a sink that has structure, and where structure was not asked for", async () => {
  const world = new World();
  await world.manages("s.b", "other.*");
  assert.equal(await world.open("s.a").follow(), undefined);
  await world.manages("s.*");
  assert.equal(await world.open("s.a", { source: undefined }).follow(), undefined);
  const sink = { can: { structure: false } } as unknown as FollowerDeps["sink"];
  assert.equal(await world.open("s.a", { sink }).follow(), undefined);
  assert.deepEqual(await world.open("s.a").follow(), []);
});

test("a collection that the source has is made on the target under the route's name", async () => {
  const world = new World();
  await world.manages("s.*");
  world.source.make("s", "a");
  const steps = await world.open("s.a", { to: "t.x" }).follow();
  assert.deepEqual(world.target.names("t"), ["x"]);
  assert.equal(steps?.length, 1);
  assert.deepEqual(await world.open("s.a", { to: "t.x" }).follow(), [], "it is there");
});

test("where another process has read the source later, it is read again until this reading is the newest", async () => {
  const world = new World();
  await world.manages("s.*");
  const later = new Timestamp({ t: Math.floor(world.source.now / 1000) + 3, i: 1 });
  await world.store.claimReading("s.a", later);
  let readings = 0;
  world.source.gate = (command) => {
    if (command === "ping") readings++;
    if (command.startsWith("listCollections")) world.source.now += 1000;
  };
  assert.deepEqual(await world.open("s.a").follow(), []);
  assert.equal(readings, 4);
  assert.ok((await world.store.readAt("s.a")).greaterThanOrEqual(later));
});

test("a stop ends reading again", async () => {
  const world = new World();
  await world.manages("s.*");
  await world.store.claimReading("s.a", new Timestamp({ t: 4_000_000_000, i: 1 }));
  let readings = 0;
  world.source.gate = (command) => {
    if (command === "ping" && ++readings === 5) world.hard.abort(new Error("stopped"));
  };
  await assert.rejects(world.open("s.a").follow(), /stopped/);
  assert.equal(readings, 5);
});

test("before documents come, an unmanaged collection is made plainly, and a managed one as the source has it", async () => {
  const world = new World();
  await world.open("s.a").prepare();
  assert.equal(world.prepared, 1);
  await world.open("s.tmpQ1w2E.convertToCapped.a").prepare();
  assert.equal(world.prepared, 1, "the server itself fills it");
  await world.manages("s.*");
  world.source.make("s", "a");
  await world.open("s.a").prepare();
  assert.deepEqual([world.prepared, world.target.names("s")], [1, ["a"]]);
});

test("buckets are refused where the target has no time series for them, unless it has just gone", async () => {
  const world = new World();
  const buckets = () => world.open("s.system.buckets.m");
  const refused = (error: unknown): boolean => isFerry(error, "FERRY_STRUCTURE_REFUSED") && / s\.m,/.test(error.detail);
  await assert.rejects(buckets().prepare(), refused);
  await buckets().prepare(true);
  world.target.make("s", "m");
  await assert.rejects(buckets().prepare(), refused, "a collection of that name is none");
  world.target.make("s", "m", { type: "timeseries" });
  await buckets().prepare();
  assert.equal(world.prepared, 0, "buckets are never made as a collection");
});

test("what a view shows, and what comes as buckets, is not written document by document", async () => {
  const world = new World();
  const isHollow = (from = "s.a") => world.open(from).isHollow();
  assert.equal(await isHollow(), false, "nothing is there");
  for (const [type, hollow] of [
    ["collection", false],
    ["view", true],
    ["timeseries", true],
  ] as const) {
    world.target.make("s", "a", { type });
    assert.equal(await isHollow(), hollow, type);
  }
  assert.equal(await isHollow("s.system.buckets.a"), false, "the route of the buckets themselves");
  const sink = { can: { structure: false } } as unknown as FollowerDeps["sink"];
  assert.equal(await world.open("s.a", { sink }).isHollow(), false);
  assert.equal(await world.open("s.a", { sink }).makeWay([], undefined), undefined);
});

test("documents wait where a time series takes the place of a collection, and buckets the other way", async () => {
  const world = new World();
  await world.manages("s.*");
  const waits = (error: unknown): boolean => isFerry(error, "FERRY_MONGO_TRANSIENT");
  world.source.make("s", "a");
  world.target.make("s", "a", { type: "timeseries", options: { timeseries: { timeField: "t" } } });
  await assert.rejects(world.open("s.a").follow(), waits);
});

test("a change is noted with what it says of itself, shortened, and keeps what was done for it when it is met again", async () => {
  const world = new World();
  const event = (coll: string): Pick<DdlEvent, "kind" | "at" | "ns"> => ({
    kind: "modify",
    at: 7n << 32n,
    ns: { db: "s", coll },
  });
  const follower = world.open("s.a");
  const long = { operationDescription: { comment: "x".repeat(5000) } };
  await follower.note(event("a"), long, { id: "s.a/0/1", outcome: "held", steps: [] });
  await follower.note(event("a"), long, { id: "s.a/0/1", outcome: "applied", steps: ["create index x_1"] });
  await follower.note(event("a"), long, { id: "s.a/0/1", outcome: "applied", steps: [] });
  await follower.note(event(""), { to: { db: "s", coll: "b" } }, { id: "s.a/0/2", outcome: "applied", steps: [] });
  const records = new Map((await world.store.ddl(10)).map((record) => [record._id, record]));
  const [first, second] = [records.get("s.a/0/1"), records.get("s.a/0/2")];
  assert.deepEqual([first?.ns, first?.outcome, first?.steps], ["s.a", "applied", ["create index x_1"]]);
  assert.equal(first?.description.length, 1000);
  assert.deepEqual([second?.ns, second?.description], ["s", '{"to":{"db":"s","coll":"b"}}']);
  assert.equal(await follower.isApproved("s.a/0/1"), false);
});
