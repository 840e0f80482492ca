import { MongoClient } from "mongodb";
import { type Outcome, runCeiling, runSink, runWorkers, type Topic } from "./lib/contestants.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { startStack, versionsOf } from "./lib/stack.ts";
import { COPY_RECORDS, makeTopics, PARTITIONS, STREAM_EVENTS } from "./lib/topics.ts";

type Contestant = Readonly<{ name: string; topics: readonly Topic[]; run: (topic: Topic) => Promise<Outcome> }>;

/**
 * `npm run bench -- apply [--rounds 3] [--only NAME,NAME]`: the same topics applied by the official sink connector and by
 * `ferry worker`, beside the ceilings, in turn, round by round; medians.
 */
export const benchApply = async (flags: Readonly<Record<string, string>>): Promise<void> => {
  const rounds = Number(flags["rounds"] ?? 3);
  const only = flags["only"]?.split(",");
  await using stack = await startStack();
  await makeTopics(stack, ["copy", "stream"]);
  const target = await MongoClient.connect(stack.target.uri);
  const both: readonly Topic[] = ["copy", "stream"];
  const everyone: readonly Contestant[] = [
    { name: "raw ceiling", topics: ["copy"], run: () => runCeiling(stack, target, false) },
    { name: "shared ceiling", topics: ["copy"], run: () => runCeiling(stack, target, true) },
    { name: "ferry worker, 1 process", topics: both, run: (topic) => runWorkers(stack, target, topic, 1) },
    { name: "ferry worker, 2 processes", topics: both, run: (topic) => runWorkers(stack, target, topic, 2) },
    { name: "sink, 1 task", topics: both, run: (topic) => runSink(stack, target, topic, 1, false) },
    { name: "sink, 2 tasks, tuned", topics: both, run: (topic) => runSink(stack, target, topic, 2, true) },
    { name: "sink, 4 tasks, tuned", topics: both, run: (topic) => runSink(stack, target, topic, 4, true) },
  ];
  const contestants = everyone.filter(({ name }) => only === undefined || only.some((part) => name.includes(part)));
  const outcomes = new Map<string, Outcome[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const { name, topics, run } of contestants) {
      for (const topic of topics) {
        const outcome = await run(topic);
        console.log(
          `round ${round}  ${topic.padEnd(6)}  ${name.padEnd(26)} ${String(Math.round(outcome.perSecond)).padStart(8)}/s${outcome.rssMb === undefined ? "" : `  peak ${outcome.rssMb} MB`}`,
        );
        const key = `${topic}:${name}`;
        outcomes.set(key, [...(outcomes.get(key) ?? []), outcome]);
      }
    }
  }
  const versions = await versionsOf(stack);
  await target.close();

  const rate = (topic: Topic, name: string): number =>
    median((outcomes.get(`${topic}:${name}`) ?? []).map(({ perSecond }) => perSecond));
  const rss = (name: string): number =>
    Math.max(0, ...both.flatMap((topic) => (outcomes.get(`${topic}:${name}`) ?? []).map(({ rssMb }) => rssMb ?? 0)));
  const sinkBest = (topic: Topic): number =>
    Math.max(rate(topic, "sink, 2 tasks, tuned"), rate(topic, "sink, 4 tasks, tuned"));
  const worker = "ferry worker, 1 process";
  const rows: Row[] = contestants.map(({ name, topics }) => ({
    contestant: name,
    "copy/s": Math.round(rate("copy", name)),
    "stream/s": topics.includes("stream") ? Math.round(rate("stream", name)) : null,
    "peak RSS MB": rss(name) || null,
  }));
  if (only !== undefined) return; // a part of the contestants is for looking, not for the record
  report({
    name: "apply",
    rows,
    versions: {
      ...versions,
      records: `${COPY_RECORDS} copy, ${STREAM_EVENTS} stream`,
      partitions: String(PARTITIONS),
    },
    ratios: {
      "copy.vsSink1": round(rate("copy", worker) / rate("copy", "sink, 1 task")),
      "copy.vsSinkBest": round(rate("copy", worker) / sinkBest("copy")),
      "copy.vsSharedCeiling": round(rate("copy", worker) / rate("copy", "shared ceiling")),
      "copy.vsRawCeiling": round(rate("copy", worker) / rate("copy", "raw ceiling")),
      "stream.vsSink1": round(rate("stream", worker) / rate("stream", "sink, 1 task")),
      "stream.vsSinkBest": round(rate("stream", worker) / sinkBest("stream")),
      rssMb: rss(worker),
    },
  });
};
