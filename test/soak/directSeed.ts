import assert from "node:assert/strict";
import type { Db, Document, MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { BUCKETS } from "#base/flow/buckets.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { seeded } from "#tools/workload/people.ts";
import { type Books, checkBooks } from "../harness/books.ts";
import { compareLive } from "../harness/compare.ts";
import { type DirectStart, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad } from "../harness/load.ts";
import { structureOf } from "../harness/structure.ts";
import type { FerryProcess } from "../harness/worker.ts";
import { DdlLoad, lateName } from "./ddl.ts";
import { faultOf, reaches, type Tally } from "./kills.ts";
import { MARKERS, Markers } from "./markers.ts";
import { OddLoad } from "./oddLoad.ts";
import type { Kill, Plan } from "./plan.ts";
import { FinishedRanges, topicOf } from "./ranges.ts";
import type { SoakServers } from "./servers.ts";

/** Copied in ranges of several chunks. */
const DOCUMENTS = { a: 9000, b: 1500 } as const;
/** Of these every event must have been received exactly once. */
const COUNTED = ["a", "b", MARKERS] as const;
const CONVERGE_MS = 60_000;
/** A copy that was killed copies again this long after its last start, and stands still for no longer later on, ms. */
const RESUME_MS = 10_000;

const prepare = async (db: Db, seed: number): Promise<void> => {
  await db.createCollection("events", { capped: true, size: 2 ** 20, max: 300 });
  await db.createCollection("b", { validator: { _id: { $exists: true } } });
  await db.collection("a").createIndex({ _id: 1, zz: 1 }, { unique: true, name: "unique_a" });
  await db.collection("b").createIndex({ _id: 1, aa: 1 }, { unique: true, name: "unique_b" });
  await db.collection("b").createIndex({ expires: 1 }, { expireAfterSeconds: 3600, name: "ttl" });
  await fill(db.collection("a"), DOCUMENTS.a, seed);
  await fill(db.collection("b"), DOCUMENTS.b, seed + 1);
};

type Account = Readonly<{ received: number; next: number }>;

/** What lanes have received of each topic, and where the saved position stands in it; the books of every lane balance. */
const accounts = async (there: MongoClient, stateDb: string, db: string): Promise<ReadonlyMap<string, Account>> => {
  const record = await there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
  const lanes = await there.db(stateDb).collection<LaneRecord>("lanes").find().toArray();
  for (const { _id, counts } of lanes) {
    const books = Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, Number(n)])) as unknown as Books;
    checkBooks(_id, books);
    assert.equal(books.dead, 0, `dead letters of ${_id}`);
  }
  return new Map(
    COUNTED.map((coll) => {
      const topic = topicOf(db, coll);
      const received = lanes
        .filter((lane) => lane.topic === topic)
        .reduce((n, { counts }) => n + Number(counts.received), 0);
      return [coll, { received, next: Number(record?.topics.find(({ name }) => name === topic)?.next ?? 0) }];
    }),
  );
};

/** Where a database's documents lie: its collections, and the buckets of its time series. Of the source's own profile nothing. */
const collectionsOf = async (db: Db): Promise<readonly string[]> =>
  (await db.listCollections({}, { nameOnly: true }).toArray())
    .filter(({ name, type }) => type !== "timeseries" && (!name.startsWith("system.") || name.startsWith(BUCKETS)))
    .map(({ name }) => name)
    .sort();

/** What is not equal on both sides; undefined where all is. */
const unequal = async (here: Db, there: Db): Promise<object | undefined> => {
  const [names, others] = [await collectionsOf(here), await collectionsOf(there)];
  if (names.join() !== others.join()) return { source: names, target: others };
  // The source's cap takes documents away without an event; finalize leaves them out.
  for (const name of names.filter((one) => one !== "events")) {
    const found = await compareLive(here.collection(name), there.collection(name));
    if (found.wrong > 0) return { name, ...found, different: found.different.slice(0, 1) };
  }
  return undefined;
};

const converged = (databases: readonly (readonly [Db, Db])[], run: FerryProcess): Promise<void> =>
  waitFor(
    async () => {
      assert.ok(run.isRunning(), run.logTail(30));
      for (const [here, there] of databases) {
        const seen = await unequal(here, there);
        if (seen !== undefined) return { seen };
      }
      const [here, there] = databases[0] as readonly [Db, Db];
      const last = await here.collection("events").find().sort({ $natural: -1 }).limit(1).toArray();
      const arrived = await there.collection("events").findOne({ _id: last[0]?._id as never });
      return arrived === null ? { seen: "the last event is not there" } : { done: undefined };
    },
    { what: "both sides to be equal", clock: systemClock, timeoutMs: CONVERGE_MS, everyMs: 200 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${run.logTail(30)}`, { cause: error });
  });

type CopyState = Readonly<{ isOver: boolean; documents: number }>;

const copyState = async (there: MongoClient, stateDb: string): Promise<CopyState> => {
  const record = await there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
  const ranges = await there.db(stateDb).collection<RangeRecord>("copyRanges").find().toArray();
  return {
    isOver: record?.phase === "stream",
    documents: ranges.reduce((sum, { documents }) => sum + Number(documents), 0),
  };
};

/** Sees a resumed copy through to its end: it may not stand still. @throws FERRY_TIMEOUT */
const resumed = async (there: MongoClient, stateDb: string): Promise<void> => {
  for (let former = await copyState(there, stateDb); !former.isOver; ) {
    const { documents } = former;
    former = await waitFor(
      async () => {
        const now = await copyState(there, stateDb);
        return now.isOver || now.documents > documents ? { done: now } : { seen: now };
      },
      { what: "a resumed copy to copy", clock: systemClock, timeoutMs: RESUME_MS },
    );
  }
};

/** Waits until the copy has ended, in this process or a former one. */
export const copied = (there: MongoClient, stateDb: string): Promise<void> =>
  waitFor(
    async () => {
      const record = await there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
      return record?.phase === "stream" ? { done: undefined } : { seen: record?.phase };
    },
    { what: "the end of the copy", clock: systemClock, timeoutMs: CONVERGE_MS },
  );

/**
 * An index that is being built on the source while the copy begins, over documents of which some do not fit it for now. It
 * becomes one in the end, or is given up.
 */
const indexInTheMaking = async (db: Db, wanted: boolean): Promise<{ end: () => Promise<void> }> => {
  if (!wanted) return { end: async () => undefined };
  const admin = db.client.db("admin");
  await admin.command({ configureFailPoint: "hangAfterStartingIndexBuild", mode: "alwaysOn" });
  await db.collection<Document>("b").insertOne({ _id: "parallel", p: [1, 2], q: [1, 2] } as Document);
  const built = db.collection("b").createIndex({ p: 1, q: 1 }, { name: "making" });
  built.catch(() => undefined); // given up: the arrays are parallel
  let over = false;
  const end = async (): Promise<void> => {
    if (over) return;
    over = true;
    await admin.command({ configureFailPoint: "hangAfterStartingIndexBuild", mode: "off" });
    await assert.rejects(built);
  };
  return { end };
};

/** One seed without Kafka: its kills, and after them everything that must hold. Returns a sentence of figures. */
export const directSeed = async (
  { seed, kills, spools }: Plan,
  servers: SoakServers,
  tally: Tally,
): Promise<string> => {
  const { source, target, here, there } = servers;
  const name = `soak_${seed}`;
  const stateDb = `ferry_${name}`;
  const [db, copy] = [here.db(name), there.db(name)];
  using folder = tempFolder();
  const options: DirectStart = {
    source: source.uri,
    target: target.uri,
    include: [`${name}.*`, `${lateName(name)}.*`],
    args: [
      ...["--state-db", stateDb, "--batch-count", "200", "--range-documents", "2500"],
      // Segments of a size that the writers fill while the copy is killed.
      ...(spools ? ["--spool", "always", "--spool-size", "2", "--spool-dir", folder.path] : []),
    ],
  };
  await prepare(db, seed);
  const late = [here.db(lateName(name)), there.db(lateName(name))] as const;
  const ddl = new DdlLoad(db, late[0], seeded(seed + 1));
  await ddl.prepare();
  const odd = new OddLoad(db, seeded(seed + 2));
  await odd.prepare();
  const ranges = new FinishedRanges(here, there, { db: name, stateDb });
  await ranges.watch();
  const markers = new Markers(here, name);
  markers.start();
  odd.start();
  const loads = [
    startLoad(db.collection("a"), { seed, writers: 6, keys: DOCUMENTS.a, pauseMs: 25 }),
    startLoad(db.collection("b"), { seed: seed + 1, writers: 3, keys: DOCUMENTS.b, pauseMs: 25 }),
  ];
  let passed = 0;
  const saved = async (): Promise<void> => {
    const record = await there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
    if (record?.phase === "stream") passed = await markers.checkUpTo(there, record.token);
  };
  const kill = async (one: Kill, before?: (run: FerryProcess) => Promise<void>): Promise<void> => {
    await using run = await startDirect({ ...options, env: faultOf(one) });
    await before?.(run);
    tally.add(one, await reaches(run));
    await ranges.note();
    await saved();
  };
  const of = (phase: Kill["phase"]): readonly Kill[] => kills.filter((one) => one.phase === phase);
  const building = await indexInTheMaking(db, seed % 3 === 0);
  try {
    for (const one of of("copy")) await kill(one);
    {
      await using run = await startDirect(options);
      await resumed(there, stateDb);
      await building.end();
      await ranges.check();
      await markers.arrive(there); // captured again as far as lanes have it: from here on both sides of the account move together
      run.kill("SIGTERM");
      assert.equal((await run.exited).signal, "SIGTERM", run.logTail(30)); // passed on once everything is saved
    }
    const stop = async (run: FerryProcess): Promise<void> => {
      await markers.arrive(there); // it has taken the lanes, so it has something to release
      run.kill("SIGTERM");
    };
    for (const one of of("stop")) await kill(one, stop);
    const before = await accounts(there, stateDb, name);
    for (const one of of("stream"))
      await kill(one, async () => {
        await ddl.forPoint(one.point);
      });
    await using run = await startDirect(options);
    await Promise.all(loads.map((load) => load.stop()));
    await markers.stop();
    await odd.stop();
    await converged([[db, copy], late], run);
    run.kill("SIGTERM");
    assert.equal((await run.exited).signal, "SIGTERM", run.logTail(30)); // passed on once everything is saved
    await saved();
    const after = await accounts(there, stateDb, name);
    for (const [coll, { received, next }] of after) {
      const first = before.get(coll) as Account;
      assert.equal(received - first.received, next - first.next, `${coll}: events received, and offsets passed`);
    }
  } finally {
    await Promise.allSettled([...loads.map((load) => load.stop()), markers.stop(), odd.stop(), building.end()]);
  }
  await markers.checkAll(there);
  await finalized(options, of("finalize"), tally);
  for (const one of [name, lateName(name)])
    assert.deepEqual(await structureOf(there, one), await structureOf(here, one), `structure of ${one} after finalize`);
  const natural = (client: Db) => client.collection<Document>("events").find().hint({ $natural: 1 }).toArray();
  assert.deepEqual(await natural(copy), await natural(db), "capped, in the source's order");
  const written = loads.reduce((sum, load) => sum + load.done(), 0);
  await Promise.all([db, copy, ...late, there.db(stateDb)].map((one) => one.dropDatabase()));
  return `${written} operations, ${markers.count} markers (${passed} at the last position), ${ranges.count} ranges finished before a kill`;
};

/** `ferry finalize` waits while `ferry run` drains and restores, is killed at it, and is started again. */
const finalized = async (options: DirectStart, kills: readonly Kill[], tally: Tally): Promise<void> => {
  const { source, target = "", args = [] } = options;
  const ended = ferry(["finalize", "--source", source, "--target", target, ...args.slice(0, 2)], {
    timeoutMs: 10 * 60_000, // all the kills below
  });
  let isOver = false;
  for (const one of kills) {
    if (!isOver) {
      // Finalize may not have been asked for yet: then it runs until that is.
      const { status, err } = await endDirect({ ...options, env: faultOf(one) });
      const reached = status === null && err.includes("fault point");
      assert.ok(reached || status === 0, err);
      isOver = status === 0;
      tally.add(one, reached);
    } else tally.add(one, false);
  }
  if (!isOver) {
    const { status, err } = await endDirect(options);
    assert.equal(status, 0, err);
  }
  const { status, out, err } = await ended;
  assert.equal(status, 0, `${out}${err}`);
};
