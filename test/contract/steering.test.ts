/** What every capture promises to the code that steers it (`src/source/stream/capture.ts`): the real connector, and ferry's own. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { createLogger } from "#base/observe/log.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { RunControl } from "#source/capture/captureLifecycle.ts";
import { RunCapture } from "#source/capture/runCapture.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import { ConnectorCapture } from "#source/connector/connectorCapture.ts";
import type { Capture } from "#source/stream/capture.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { startCapture } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { recommendedConnector } from "../harness/workerConnector.ts";

const PATIENCE_MS = 60_000;

const open = async (db: string) => {
  const [source, target, broker] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const kafka = stack.use(new KafkaClient({ bootstrap: broker.bootstrap, clientId: db, group: db }));
  return {
    ...{ here, there, kafka, stack, db, stateDb: `ferry_${db}` },
    urls: { source: source.uri, target: target.uri, kafka: broker.bootstrap },
    deps: { source: here, kafka, clock: systemClock, logger: createLogger("silent") },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

type Opened = Awaited<ReturnType<typeof open>>;

const CAPTURES: Readonly<Record<string, (opened: Opened) => Promise<Capture>>> = {
  "ferry capture": async ({ there, stack, urls, deps, db, stateDb }) => {
    const args = ["--state-db", stateDb, "--partitions", "2"];
    const process = stack.use(await startCapture({ ...urls, include: [`${db}.*`], args }));
    await process.says("the change stream continues");
    return new RunCapture({ ...deps, control: new RunControl(new StateDb(there, stateDb)) });
  },
  connector: async ({ stack, urls, deps, db, stateDb }) => {
    const { url } = await sharedConnect();
    const folder = stack.use(tempFolder());
    const file = join(folder.path, "connector.json");
    writeFileSync(file, JSON.stringify({ name: db, config: recommendedConnector(urls.source, db, "c") }));
    const flags = ["--source", urls.source, "--target", urls.target, "--kafka", urls.kafka, "--state-db", stateDb];
    const begun = await ferry(["cx", file, ...flags, "--connect", url]);
    assert.equal(begun.status, 0, begun.err);
    const rest = new ConnectRest({ url, clock: systemClock });
    stack.defer(() => rest.remove(db));
    return new ConnectorCapture({ ...deps, rest, name: db });
  },
};

for (const [kind, start] of Object.entries(CAPTURES))
  test(`${kind}: drained to a time, paused and resumed, everything up to it is in the log`, async () => {
    await using opened = await open(`steer${Object.keys(CAPTURES).indexOf(kind)}`);
    const { here, kafka, db } = opened;
    const coll = here.db(db).collection<{ _id: string }>("c");
    const keys = (word: string) => Array.from({ length: 50 }, (_, n) => ({ _id: `${word} ${n}` }));
    await coll.insertMany(keys("copied"));
    const capture = await start(opened);
    const records = async (): Promise<number> =>
      (await kafka.offsets(`${db}.c`, "latest")).reduce((sum, end) => sum + end, 0);
    const drained = async (ms = PATIENCE_MS): Promise<void> => {
      const at = (await clusterTime(here)).toBigInt();
      await capture.drainTo(at, AbortSignal.timeout(ms));
    };

    await drained();
    const copied = await records();
    assert.ok(copied >= 50, `${copied} records`);
    await coll.insertMany(keys("streamed"));
    await drained();
    assert.equal((await records()) - copied, 50);

    await capture.pause(AbortSignal.timeout(PATIENCE_MS));
    await coll.insertMany(keys("while paused"));
    await assert.rejects(drained(2000), "what is paused does not drain");
    assert.equal((await records()) - copied, 50, "nothing comes while it is paused");

    await capture.resume();
    await drained();
    assert.equal((await records()) - copied, 100);
    assert.ok((await capture.position()) !== undefined);
  });
