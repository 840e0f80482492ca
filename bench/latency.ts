import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { quantile, type Row, report, round } from "./lib/report.ts";
import { type BenchStack, startConnector, startStack, versionsOf } from "./lib/stack.ts";
import { DB, recommended, user } from "./lib/topics.ts";

export const PER_SECOND = 50;
export const SECONDS = 20;
const WARM_UP = 100;
const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

export type Concern = "w1" | "majority";
type Stamps = Map<number, number>;

/** A change stream reader with nothing behind it: what any tool must wait for. Open when this returns. */
const bareReader = async (client: MongoClient, seen: Stamps): Promise<() => Promise<void>> => {
  const stream = client
    .db(DB)
    .collection<{ _id: number }>("latency")
    .watch([{ $match: { operationType: "insert" } }], { fullDocument: "updateLookup" });
  await stream.tryNext(); // opens it: what is inserted from now on is seen
  let closed = false;
  const loop = (async () => {
    while (!closed) {
      const event = await stream.tryNext();
      if (event?.operationType === "insert") seen.set(event.documentKey._id, performance.now());
    }
  })();
  return async () => {
    closed = true;
    await loop;
    await stream.close();
  };
};

/** Looks at the target without pause for documents newer than the last one seen. */
const watchTarget = (client: MongoClient, from: number, seen: Stamps): (() => Promise<void>) => {
  const collection = client.db(DB).collection<{ _id: number }>("latency");
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const missing = await collection
        .find(
          { _id: { $gte: from } },
          { projection: { _id: 1 }, sort: { _id: -1 }, limit: 20, readConcern: { level: "local" } },
        )
        .toArray();
      const now = performance.now();
      for (const { _id } of missing) if (!seen.has(_id)) seen.set(_id, now);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  return async () => {
    stopped = true;
    await loop;
  };
};

const insertAll = async (
  client: MongoClient,
  concern: Concern,
  from: number,
  count: number,
  sent: Stamps,
): Promise<void> => {
  const collection = client.db(DB).collection<{ _id: number }>("latency");
  const writeConcern = concern === "w1" ? { w: 1 as const } : { w: "majority" as const };
  const begin = performance.now();
  const pending: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    const due = begin + (i * 1000) / PER_SECOND - performance.now();
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    sent.set(from + i, performance.now());
    pending.push(collection.insertOne(user(from + i), { writeConcern }));
  }
  await Promise.all(pending);
};

/** Milliseconds from a source write to a bare reader's eyes, and to the document on the target. */
export const measure = async (
  stack: Pick<BenchStack, "source" | "target">,
  concern: Concern,
  from: number,
): Promise<{ bare: number[]; ferry: number[] }> => {
  const [writer, reader, target] = await Promise.all([
    MongoClient.connect(stack.source.uri),
    MongoClient.connect(stack.source.uri),
    MongoClient.connect(stack.target.uri),
  ]);
  const [sent, bare, visible]: [Stamps, Stamps, Stamps] = [new Map(), new Map(), new Map()];
  const stops = [await bareReader(reader, bare), watchTarget(target, from, visible)];
  const total = WARM_UP + PER_SECOND * SECONDS;
  await insertAll(writer, concern, from, total, sent);
  await waitFor(
    async () =>
      visible.size >= total && bare.size >= total
        ? { done: undefined }
        : { seen: { visible: visible.size, bare: bare.size } },
    {
      what: "everything visible on the target",
      clock: systemClock,
      timeoutMs: 30_000,
    },
  );
  await Promise.all(stops.map((stop) => stop()));
  await Promise.all([writer.close(), reader.close(), target.close()]);
  const after = (stamps: Stamps): number[] =>
    [...sent]
      .filter(([id]) => id >= from + WARM_UP)
      .map(([id, at]) => (stamps.get(id) ?? Number.POSITIVE_INFINITY) - at);
  return { bare: after(bare), ferry: after(visible) };
};

/** One worker process, ended with what it was measured in. */
const startWorker = (stack: BenchStack): AsyncDisposable => {
  const { source, target, kafka, connect } = stack;
  const servers = [
    "--source",
    source.uri,
    "--target",
    target.uri,
    "--kafka",
    kafka.bootstrap,
    "--connect",
    connect.url,
  ];
  const worker = spawn(process.execPath, [MAIN, "worker", ...servers, "--log-level", "error"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exited = once(worker, "exit");
  return {
    [Symbol.asyncDispose]: async () => {
      worker.kill("SIGTERM");
      await exited;
    },
  };
};

/** `npm run bench -- latency`: 50 inserts/s, source write → visible on the target through Kafka, beside a bare change stream reader. */
export const benchLatency = async (): Promise<void> => {
  await using stack = await startStack();
  const source = await MongoClient.connect(stack.source.uri);
  await source.db(DB).createCollection("latency");
  await startConnector(
    stack.connect.url,
    "latency",
    recommended(stack.source.uri, "latency", { "startup.mode": "latest" }),
  );
  await using _worker = startWorker(stack);
  const target = await MongoClient.connect(stack.target.uri);
  await waitFor(
    async () => {
      await source
        .db(DB)
        .collection<{ _id: number }>("latency")
        .updateOne({ _id: -1 }, { $inc: { n: 1 } }, { upsert: true });
      return (await target.db(DB).collection<{ _id: number }>("latency").findOne({ _id: -1 })) === null
        ? { seen: "nothing on the target" }
        : { done: undefined };
    },
    { what: "the path is open", clock: systemClock, timeoutMs: 90_000, everyMs: 300 },
  );
  const rows: Row[] = [];
  const ratios: Record<string, number> = {};
  for (const [i, concern] of (["w1", "majority"] as const).entries()) {
    const { bare, ferry } = await measure(stack, concern, (i + 1) * 1_000_000);
    const [b50, b99, f50, f99] = [
      quantile(bare, 0.5),
      quantile(bare, 0.99),
      quantile(ferry, 0.5),
      quantile(ferry, 0.99),
    ];
    rows.push({ "source write": concern, reader: "bare change stream", "p50 ms": round(b50), "p99 ms": round(b99) });
    rows.push({
      "source write": concern,
      reader: "ferry, visible on target",
      "p50 ms": round(f50),
      "p99 ms": round(f99),
    });
    ratios[`${concern}.p50OverBareMs`] = round(f50 - b50);
    ratios[`${concern}.p99OverBareMs`] = round(f99 - b99);
  }
  await Promise.all([source.close(), target.close()]);
  report({
    name: "latency",
    rows,
    ratios,
    versions: { ...(await versionsOf(stack)), load: `${PER_SECOND} inserts/s for ${SECONDS} s` },
  });
};
