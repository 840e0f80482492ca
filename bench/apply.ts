import { MongoClient } from "mongodb";
import type { Bench } from "./lib/bench.ts";
import { type Outcome, runCeiling, runSink, runWorkers } from "./lib/contestants.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { versionsOf } from "./lib/stack.ts";
import { makeTopics, PARTITIONS, sizesOf, type Topic } from "./lib/topics.ts";

type Contestant = Readonly<{ name: string; topics: readonly Topic[]; run: (topic: Topic) => Promise<Outcome> }>;

/**
 * `npm run bench -- apply [--rounds 3] [--scale 1] [--only NAME,NAME]`: the same topics applied by the official sink connector and by
 * `ferry worker`, beside the ceilings, in turn, round by round; medians.
 */
export const benchApply = async (bench: Bench): Promise<void> => {
  const only = bench.flags["only"]?.split(",");
  const sizes = sizesOf(bench);
  await using stack = await bench.stack();
  await makeTopics(stack, ["copy", "stream"], sizes);
  const target = await MongoClient.connect(stack.target.uri);
  const field = { stack, target, sizes };
  const both: readonly Topic[] = ["copy", "stream"];
  const everyone: readonly Contestant[] = [
    { name: "raw ceiling", topics: ["copy"], run: () => runCeiling(field, false) },
    { name: "shared ceiling", topics: ["copy"], run: () => runCeiling(field, true) },
    { name: "ferry worker, 1 process", topics: both, run: (topic) => runWorkers(field, topic, 1) },
    { name: "ferry worker, 2 processes", topics: both, run: (topic) => runWorkers(field, topic, 2) },
    { name: "sink, 1 task", topics: both, run: (topic) => runSink(field, topic, 1, false) },
    { name: "sink, 2 tasks, tuned", topics: both, run: (topic) => runSink(field, topic, 2, true) },
    { name: "sink, 4 tasks, tuned", topics: both, run: (topic) => runSink(field, topic, 4, true) },
  ];
  const contestants = everyone.filter(({ name }) => only === undefined || only.some((part) => name.includes(part)));
  const outcomes = new Map<string, Outcome[]>();
  for (let round = 1; round <= bench.rounds; round++) {
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
  const result = {
    name: "apply",
    rows,
    versions: {
      ...versions,
      records: `${sizes.copy} copy, ${sizes.stream} stream`,
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
  };
  report(result, bench.full && only === undefined); // a part of the contestants is for looking, too
};
