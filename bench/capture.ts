import { MongoClient } from "mongodb";
import { KafkaClient } from "#io/kafka/client.ts";
import type { Bench } from "./lib/bench.ts";
import { MAIN } from "./lib/ferryCommand.ts";
import { pause, running } from "./lib/pair.ts";
import { peakMb } from "./lib/processes.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { type BenchStack, deleteConnector, startConnector, versionsOf } from "./lib/stack.ts";
import { DB, load, PARTITIONS, recommended } from "./lib/topics.ts";

const DOCUMENTS = 500_000;
const COLL = "captured";
const LIMIT_MS = 180_000;
type Outcome = Readonly<{ perSecond: number; rssMb: number | undefined }>;

/** Records of a topic; 0 where there is none yet. */
const held = async (kafka: KafkaClient, topic: string): Promise<number> =>
  (await kafka.offsets(topic, "latest").catch(() => [])).reduce((sum, end) => sum + end, 0);

/** Records per second from the first one in the topic to the last. */
const timeTopic = async (kafka: KafkaClient, topic: string, count: number, base = 0): Promise<number> => {
  const deadline = Date.now() + LIMIT_MS;
  let first: { at: number; done: number } | undefined;
  for (;;) {
    const done = (await held(kafka, topic)) - base;
    const now = performance.now();
    if (first === undefined && done > 0) first = { at: now, done };
    if (first !== undefined && done >= count) return ((count - first.done) * 1000) / (now - first.at);
    if (Date.now() > deadline) throw new Error(`${topic}: ${done} of ${count} records after ${LIMIT_MS} ms`);
    await pause(10);
  }
};

let runs = 0;

const runConnector = async (
  stack: BenchStack,
  kafka: KafkaClient,
  count: number,
  changes: Readonly<Record<string, string>>,
): Promise<Outcome> => {
  const name = `capture-${runs++}`;
  await startConnector(
    stack.connect.url,
    name,
    recommended(stack.source.uri, COLL, { "topic.prefix": name, "offset.partition.name": name, ...changes }),
  );
  try {
    return { perSecond: await timeTopic(kafka, `${name}.${DB}.${COLL}`, count), rssMb: undefined };
  } finally {
    await deleteConnector(stack.connect.url, name);
  }
};

/** Its topic has no prefix: later rounds write behind the earlier ones. */
const runFerry = async (stack: BenchStack, kafka: KafkaClient, count: number): Promise<Outcome> => {
  const topic = `${DB}.${COLL}`;
  const base = await held(kafka, topic);
  await using capture = running(process.execPath, [
    ...[MAIN, "capture", "--source", stack.source.uri, "--target", stack.target.uri, "--kafka", stack.kafka.bootstrap],
    ...["--include", topic, "--state-db", `ferry_bench_capture_${runs++}`, "--log-level", "error"],
    ...["--partitions", String(PARTITIONS)],
  ]);
  const perSecond = await timeTopic(kafka, topic, count, base);
  return { perSecond, rssMb: peakMb(capture.child.pid) };
};

const TUNED = {
  "poll.max.batch.size": "10000",
  "startup.mode.copy.existing.queue.size": "64000",
  "producer.override.batch.size": "1048576",
  "producer.override.linger.ms": "5",
} as const;

/** `npm run bench -- capture [--rounds 3] [--scale 1]`: the copy of a collection into Kafka, by the connector and by `ferry capture`, in turn; medians. */
export const benchCapture = async (bench: Bench): Promise<void> => {
  const count = bench.sized(DOCUMENTS);
  await using stack = await bench.stack();
  await using kafka = new KafkaClient({ bootstrap: stack.kafka.bootstrap, clientId: "bench", group: "bench" });
  const source = await MongoClient.connect(stack.source.uri);
  await load(source, COLL, count);
  await source.close();
  const contestants: Readonly<Record<string, () => Promise<Outcome>>> = {
    "connector, as recommended": () => runConnector(stack, kafka, count, {}),
    "connector, larger batches": () => runConnector(stack, kafka, count, TUNED),
    "ferry capture": () => runFerry(stack, kafka, count),
  };
  const outcomes = new Map<string, Outcome[]>();
  for (let turn = 1; turn <= bench.rounds; turn++)
    for (const [name, run] of Object.entries(contestants)) {
      const outcome = await run();
      console.log(`round ${turn}  ${name.padEnd(26)} ${Math.round(outcome.perSecond)}/s  ${outcome.rssMb ?? ""}`);
      outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
    }
  const rate = (name: string): number => median((outcomes.get(name) ?? []).map(({ perSecond }) => perSecond));
  const rssMb = Math.max(...(outcomes.get("ferry capture") ?? []).map((one) => one.rssMb ?? 0));
  const rows: Row[] = Object.keys(contestants).map((name) => ({
    contestant: name,
    "copy/s": Math.round(rate(name)),
    "peak RSS MB": name === "ferry capture" ? rssMb : null,
  }));
  const best = Math.max(rate("connector, as recommended"), rate("connector, larger batches"));
  const ratios = { vsConnector: round(rate("ferry capture") / best), rssMb };
  const versions = { ...(await versionsOf(stack)), documents: String(count), partitions: String(PARTITIONS) };
  report({ name: "capture", rows, ratios, versions }, bench.full);
};
