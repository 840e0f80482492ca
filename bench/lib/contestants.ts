/** Who applies the topics in `bench apply`. Each is timed from its first visible effect on the target to its last. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { MongoClient } from "mongodb";
import { peakMb } from "./processes.ts";
import { type BenchStack, deleteConnector, startConnector } from "./stack.ts";
import { DB, load, MARKS, type Sizes, type Topic } from "./topics.ts";

/** Where a contestant applies to: the target of the stack, and how much is to come. */
export type Field = Readonly<{ stack: BenchStack; target: MongoClient; sizes: Sizes }>;

export type Outcome = Readonly<{ perSecond: number; rssMb: number | undefined }>;

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
/** How often the target is looked at, ms: the error of a measurement of several seconds. */
const LOOK_MS = 20;

/** One task of the sink applies some thousand events a second. */
const SINK_LIMIT_MS = 600_000;
const ALIVE_MS = 2000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Empties the target's collection; the stream's starts with the documents that existed before it. */
const prepareTarget = async ({ target, sizes }: Field, topic: Topic): Promise<void> => {
  const db = target.db(DB);
  await db.dropCollection(topic).catch(() => undefined);
  await db.createCollection(topic);
  if (topic === "stream") await load(target, "stream", sizes.base);
  await target.db("admin").command({ fsync: 1 });
};

type Progress = Readonly<{ done: number; finished: boolean }>;

const progressOf = async ({ target, sizes }: Field, topic: Topic): Promise<Progress> => {
  const collection = target.db(DB).collection<{ _id: string }>(topic);
  if (topic !== "stream") {
    const done = await collection.estimatedDocumentCount();
    return { done, finished: done >= sizes[topic] };
  }
  const count = (name: string): Promise<number> =>
    collection.countDocuments({ _id: { $gte: `${name}-`, $lt: `${name}.` } });
  const [begun, ended] = await Promise.all([count("begin"), count("end")]);
  return { done: begun > 0 ? 1 : 0, finished: ended === MARKS };
};

/** Waits for the first effect, then for the last; records per second between them. `alive` throws when nothing more can come. */
const race = async (field: Field, topic: Topic, limitMs: number, alive: () => Promise<void>): Promise<number> => {
  const deadline = Date.now() + limitMs;
  let lookAt = Date.now() + ALIVE_MS;
  let first: { at: number; done: number } | undefined;
  for (;;) {
    const { done, finished } = await progressOf(field, topic);
    const now = performance.now();
    if (first === undefined && done > 0) first = { at: now, done };
    if (finished && first !== undefined) {
      const records = topic === "stream" ? field.sizes.stream : field.sizes[topic] - first.done;
      return (records * 1000) / (now - first.at);
    }
    if (Date.now() > deadline) throw new Error(`${topic} was not finished in ${limitMs} ms`);
    if (Date.now() > lookAt) {
      await alive();
      lookAt = Date.now() + ALIVE_MS;
    }
    await pause(LOOK_MS);
  }
};

let run = 0;

/** `ferry worker`, as many processes as asked. */
export const runWorkers = async (
  field: Field,
  topic: Topic,
  processes: number,
  extra: readonly string[] = [],
): Promise<Outcome> => {
  const { stack, target } = field;
  await prepareTarget(field, topic);
  const stateDb = `ferry_bench_${run++}`;
  const args = [
    path("../../src/surface/cli/main.ts"),
    "worker",
    "--source",
    stack.source.uri,
    "--connect",
    stack.connect.url,
    "--target",
    stack.target.uri,
    "--kafka",
    stack.kafka.bootstrap,
    "--topics",
    `${DB}.${topic}`,
    "--state-db",
    stateDb,
    "--log-level",
    "error",
    ...(topic === "stream" ? ["--conflict", "mirror"] : []), // the documents before the stream are there
    ...extra,
  ];
  const children = Array.from({ length: processes }, () =>
    spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] }),
  );
  try {
    const alive = async (): Promise<void> => {
      const ended = children.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
      if (ended !== undefined) throw new Error(`a worker ended with ${ended.exitCode ?? ended.signalCode}`);
    };
    const perSecond = await race(field, topic, 120_000, alive);
    return { perSecond, rssMb: Math.max(...children.map(({ pid }) => peakMb(pid))) };
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(
      children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined)),
    );
    await target.db(stateDb).dropDatabase();
  }
};

/** @throws the trace of a task that failed: nothing more will come of it */
const checkTasks = async (url: string, name: string): Promise<void> => {
  const { tasks } = (await (await fetch(`${url}/connectors/${name}/status`)).json()) as {
    tasks: { state: string; trace?: string }[];
  };
  const failed = tasks.find(({ state }) => state === "FAILED");
  if (failed !== undefined) throw new Error(`${name}: ${failed.trace?.slice(0, 2000)}`);
};

/** The official sink connector with its change stream handler. `tuned`: larger polls and unordered bulks. */
export const runSink = async (field: Field, topic: Topic, tasks: number, tuned: boolean): Promise<Outcome> => {
  const { stack } = field;
  await prepareTarget(field, topic);
  const name = `sink-${run++}`;
  await startConnector(stack.connect.url, name, {
    "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
    "tasks.max": String(tasks),
    topics: `${DB}.${topic}`,
    "connection.uri": stack.target.uri,
    database: DB,
    collection: topic,
    "change.data.capture.handler": "com.mongodb.kafka.connect.sink.cdc.mongodb.ChangeStreamHandler",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "consumer.override.auto.offset.reset": "earliest",
    // It fails on updates whose document was deleted since (fullDocument: null), which the stream has: it may skip them.
    "errors.tolerance": "all",
    ...(tuned
      ? {
          "consumer.override.max.poll.records": "5000",
          "consumer.override.fetch.min.bytes": "65536",
          "bulk.write.ordered": "false",
          "max.batch.size": "5000",
        }
      : {}),
  });
  try {
    const alive = (): Promise<void> => checkTasks(stack.connect.url, name);
    return { perSecond: await race(field, topic, SINK_LIMIT_MS, alive), rssMb: undefined };
  } finally {
    await deleteConnector(stack.connect.url, name);
  }
};

/** Pre-built raw batches straight into the target, four in flight; optionally while a bare consumer drains the topic. */
export const runCeiling = async (field: Field, shared: boolean): Promise<Outcome> => {
  const { stack } = field;
  await prepareTarget(field, "copy");
  const args = [
    path("./ceiling.ts"),
    stack.target.uri,
    stack.kafka.bootstrap,
    `${DB}.copy`,
    shared ? "shared" : "alone",
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`the ceiling run ended with ${code}`);
  return { perSecond: (JSON.parse(out) as { perSecond: number }).perSecond, rssMb: undefined };
};
