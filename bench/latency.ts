import { spawn } from "node:child_process";
import { once } from "node:events";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Bench } from "./lib/bench.ts";
import { MAIN } from "./lib/ferryCommand.ts";
import { median, quantile, type Row, report, round } from "./lib/report.ts";
import { type BenchStack, startConnector, versionsOf } from "./lib/stack.ts";
import { DB, recommended, user } from "./lib/topics.ts";

const PER_SECOND = 50;
const SECONDS = 20;
const WARM_UP = 100;
/** What is inserted in a round: first what is not looked at. */
type Load = Readonly<{ coll: string; warmUp: number; looked: number }>;

const loadOf = (coll: string, { sized }: Bench): Load => ({
  coll,
  warmUp: sized(WARM_UP),
  looked: sized(PER_SECOND * SECONDS),
});

/** As it is recorded. */
export const LOAD_TEXT = `${PER_SECOND} inserts/s for ${SECONDS} s`;

type Concern = "w1" | "majority";
const CONCERNS: readonly Concern[] = ["w1", "majority"];
type Stamps = Map<number, number>;

/** A change stream reader with nothing behind it: what any tool must wait for. Open when this returns. */
const bareReader = async (client: MongoClient, coll: string, seen: Stamps): Promise<() => Promise<void>> => {
  const stream = client
    .db(DB)
    .collection<{ _id: number }>(coll)
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
const watchTarget = (client: MongoClient, coll: string, from: number, seen: Stamps): (() => Promise<void>) => {
  const collection = client.db(DB).collection<{ _id: number }>(coll);
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
  { coll, warmUp, looked }: Load,
  sent: Stamps,
): Promise<void> => {
  const count = warmUp + looked;
  const collection = client.db(DB).collection<{ _id: number }>(coll);
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
const measure = async (
  stack: Pick<BenchStack, "source" | "target">,
  concern: Concern,
  from: number,
  load: Load,
): Promise<{ bare: number[]; ferry: number[] }> => {
  const [writer, reader, target] = await Promise.all([
    MongoClient.connect(stack.source.uri),
    MongoClient.connect(stack.source.uri),
    MongoClient.connect(stack.target.uri),
  ]);
  const [sent, bare, visible]: [Stamps, Stamps, Stamps] = [new Map(), new Map(), new Map()];
  const stops = [await bareReader(reader, load.coll, bare), watchTarget(target, load.coll, from, visible)];
  const total = load.warmUp + load.looked;
  await insertAll(writer, concern, from, load, sent);
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
      .filter(([id]) => id >= from + load.warmUp)
      .map(([id, at]) => (stamps.get(id) ?? Number.POSITIVE_INFINITY) - at);
  return { bare: after(bare), ferry: after(visible) };
};

/** p50 and p99 of bare reader and ferry: medians of the rounds. */
type Figures = Readonly<Record<"bare50" | "bare99" | "ferry50" | "ferry99", number>>;

const figuresOf = ({ bare, ferry }: Awaited<ReturnType<typeof measure>>): Figures => ({
  bare50: quantile(bare, 0.5),
  bare99: quantile(bare, 0.99),
  ferry50: quantile(ferry, 0.5),
  ferry99: quantile(ferry, 0.99),
});

const medians = (rounds: readonly Figures[]): Figures => {
  const of = (name: keyof Figures): number => median(rounds.map((figures) => figures[name]));
  return { bare50: of("bare50"), bare99: of("bare99"), ferry50: of("ferry50"), ferry99: of("ferry99") };
};

/**
 * The first round tells how a path behaves that has just been started: two JVMs and a Node process run it in their
 * interpreters. It is shown apart (`cold`); a migration lasts for hours, and the ratios are those of the rounds after it.
 */
export const measureRounds = async (
  bench: Bench,
  stack: Parameters<typeof measure>[0],
  coll: string,
  reader: string,
): Promise<{ rows: Row[]; ratios: Record<string, number> }> => {
  const seen = new Map<Concern, Figures[]>();
  let from = 0;
  for (let i = 0; i <= bench.rounds; i++)
    for (const concern of CONCERNS) {
      from += 1_000_000;
      seen.set(concern, [
        ...(seen.get(concern) ?? []),
        figuresOf(await measure(stack, concern, from, loadOf(coll, bench))),
      ]);
    }
  const rows: Row[] = [];
  const ratios: Record<string, number> = {};
  const tell = (concern: Concern, state: string, { bare50, bare99, ferry50, ferry99 }: Figures): void => {
    const row = { "source write": concern, path: state };
    rows.push({ ...row, reader: "bare change stream", "p50 ms": round(bare50), "p99 ms": round(bare99) });
    rows.push({ ...row, reader, "p50 ms": round(ferry50), "p99 ms": round(ferry99) });
  };
  for (const [concern, [cold, ...warm]] of seen) {
    if (cold === undefined) continue;
    const figures = medians(warm);
    tell(concern, "cold", cold);
    tell(concern, "warm", figures);
    ratios[`${concern}.p50Ms`] = round(figures.ferry50);
    ratios[`${concern}.p99Ms`] = round(figures.ferry99);
    ratios[`${concern}.p50OverBareMs`] = round(figures.ferry50 - figures.bare50);
    ratios[`${concern}.p99OverBareMs`] = round(figures.ferry99 - figures.bare99);
    ratios[`${concern}.coldP50OverBareMs`] = round(cold.ferry50 - cold.bare50);
  }
  return { rows, ratios };
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
  const own = ["--topics", `${DB}.latency`, "--state-db", "ferry_bench_latency", "--log-level", "error"];
  const worker = spawn(process.execPath, [MAIN, "worker", ...servers, ...own], {
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

/** `npm run bench -- latency [--rounds 3] [--scale 1]`: 50 inserts/s, source write → visible on the target through Kafka, beside a bare change stream reader. */
export const benchLatency = async (bench: Bench): Promise<void> => {
  await using stack = await bench.stack();
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
  const { rows, ratios } = await measureRounds(bench, stack, "latency", "ferry, visible on target");
  await Promise.all([source.close(), target.close()]);
  report({ name: "latency", rows, ratios, versions: { ...(await versionsOf(stack)), load: LOAD_TEXT } }, bench.full);
};
