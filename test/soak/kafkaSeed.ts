import assert from "node:assert/strict";
import { BSON } from "bson";
import { createDecoder } from "#io/wire/decode.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { booksOf } from "../harness/books.ts";
import { waitConverged } from "../harness/compare.ts";
import { type CaptureStart, startCapture } from "../harness/directRun.ts";
import { readTopic } from "../harness/fold.ts";
import { fill, startLoad } from "../harness/load.ts";
import { type FerryProcess, startWorker, type WorkerStart } from "../harness/worker.ts";
import { createTopic } from "../harness/workerConnector.ts";
import { copied } from "./directSeed.ts";
import { faultOf, reaches, type Tally } from "./kills.ts";
import { MARKERS, Markers } from "./markers.ts";
import type { Kill, Plan } from "./plan.ts";
import { FinishedRanges, topicOf } from "./ranges.ts";
import type { SoakServers } from "./servers.ts";

const DOCUMENTS = 9000;

/**
 * In the topic of one partition the markers of the stream go up one by one: what is written again after a kill begins
 * lower, and nothing ever jumps ahead.
 */
const checkTopic = async (bootstrap: string, topic: string): Promise<void> => {
  const decode = createDecoder();
  let highest: number | undefined;
  for (const record of await readTopic(bootstrap, topic)) {
    const { event } = decode(record);
    if (event?.op !== "write" || event.origin !== "stream") continue;
    const n = Number(BSON.deserialize(event.doc)["_id"]);
    if (Number.isNaN(n)) continue; // the comparison of both sides
    assert.ok(
      highest === undefined || n <= highest + 1,
      `marker ${n} comes behind ${highest} at offset ${record.offset}`,
    );
    highest = Math.max(highest ?? n, n);
  }
};

/** One seed with Kafka: `ferry capture` and `ferry worker` are killed. Returns a sentence of figures. */
export const kafkaSeed = async ({ seed, kills }: Plan, servers: SoakServers, tally: Tally): Promise<string> => {
  const { source, target, here, there } = servers;
  const { bootstrap } = await servers.kafka();
  const name = `soak_${seed}`;
  const stateDb = `ferry_${name}`;
  const state = ["--state-db", stateDb];
  const db = here.db(name);
  const uris = { source: source.uri, target: target.uri, kafka: bootstrap };
  const capturing: CaptureStart = {
    ...uris,
    include: [topicOf(name, "a"), topicOf(name, MARKERS)],
    args: [...state, "--range-documents", "2500"],
  };
  const working: WorkerStart = {
    ...uris,
    args: [...state, "--topics", `${name}.*`, "--batch-count", "100", "--slices", "2"],
  };
  await createTopic(bootstrap, topicOf(name, "a"), 4);
  await createTopic(bootstrap, topicOf(name, MARKERS), 1);
  await fill(db.collection("a"), DOCUMENTS, seed);
  const ranges = new FinishedRanges(here, there, { db: name, stateDb });
  await ranges.watch();
  const markers = new Markers(here, name);
  await db.createCollection("events", { capped: true, size: 2 ** 20 });
  await db.createCollection(MARKERS);
  markers.start();
  const load = startLoad(db.collection("a"), { seed, writers: 6, keys: DOCUMENTS, pauseMs: 25 });
  const of = (who: Kill["who"], phase: Kill["phase"]): readonly Kill[] =>
    kills.filter((one) => one.who === who && one.phase === phase);
  const kill = async (one: Kill, process: FerryProcess): Promise<void> => {
    tally.add(one, await reaches(process));
    await ranges.note();
  };
  try {
    for (const one of of("capture", "copy")) {
      await using capture = await startCapture({ ...capturing, env: faultOf(one) });
      await kill(one, capture);
    }
    {
      await using _capture = await startCapture(capturing);
      await copied(there, stateDb);
      await ranges.check();
    }
    for (const one of of("capture", "stream")) {
      await using capture = await startCapture({ ...capturing, env: faultOf(one) });
      await kill(one, capture);
    }
    await using capture = await startCapture(capturing);
    for (const one of [...of("worker", "stream"), ...of("worker", "stop")]) {
      await using worker = await startWorker({ ...working, env: faultOf(one) });
      if (one.phase === "stop") {
        await worker.says("partition claimed"); // so that it has something to release
        worker.kill("SIGTERM");
      }
      await kill(one, worker);
    }
    await using worker = await startWorker(working);
    await load.stop();
    await markers.stop();
    await checkTopic(bootstrap, topicOf(name, MARKERS));
    await waitConverged({ source: here, target: there, kafka: bootstrap, topic: topicOf(name, "a"), stateDb });
    for (const coll of [MARKERS, "a"]) {
      const topic = topicOf(name, coll);
      if (coll === MARKERS) await waitConverged({ source: here, target: there, kafka: bootstrap, topic, stateDb });
      const books = await booksOf(there, bootstrap, topic, { stateDb });
      assert.equal(books.dead, 0, `dead letters of ${topic}`);
    }
    assert.ok(capture.isRunning() && worker.isRunning(), `${capture.logTail(20)}\n${worker.logTail(20)}`);
    const record = await there.db(stateDb).collection<CaptureRecord>("capture").findOne({});
    assert.equal(record?.phase, "stream");
    const passed = await markers.checkUpTo(there, record.token);
    return `${load.done()} operations, ${markers.count} markers (${passed} at the last position), ${ranges.count} ranges finished before a kill`;
  } finally {
    await Promise.allSettled([load.stop(), markers.stop()]);
    await Promise.all([db.dropDatabase(), there.db(name).dropDatabase(), there.db(stateDb).dropDatabase()]);
  }
};
