import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import type { Bench } from "./lib/bench.ts";
import { runWorkers } from "./lib/contestants.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { versionsOf } from "./lib/stack.ts";
import { makeTopics, sizesOf } from "./lib/topics.ts";

/** What the services feel while nothing is migrated, ms: long enough for a p99. */
const ALONE_MS = 8000;

/** Services at work; `during` answers with their latencies while something else runs. */
const startServices = (uri: string) => {
  const path = fileURLToPath(new URL("./lib/services.ts", import.meta.url));
  const child = spawn(process.execPath, [path, uri], { stdio: ["ignore", "pipe", "inherit"] });
  let seen: number[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => seen.push(...(JSON.parse(line) as number[])));
  return {
    during: async <T>(work: () => Promise<T>): Promise<{ result: T; latencies: number[] }> => {
      seen = [];
      const result = await work();
      return { result, latencies: seen };
    },
    stop: (): boolean => child.kill(),
  };
};

const percentile = (all: readonly number[], part: number): number =>
  [...all].sort((a, b) => a - b)[Math.floor(all.length * part)] ?? Number.NaN;

type Round = Readonly<{ p50: number; p99: number; perSecond: number }>;

/** `npm run bench -- throttle [--rounds 3] [--scale 1] [--limit 15]`: what services of the target feel of a copy, with and without a limit. */
export const benchThrottle = async (bench: Bench): Promise<void> => {
  const limit = bench.flags["limit"] ?? "15";
  const sizes = sizesOf(bench);
  await using stack = await bench.stack();
  await makeTopics(stack, ["copy"], sizes);
  const target = await MongoClient.connect(stack.target.uri);
  const services = startServices(stack.target.uri);
  const pause = (): Promise<number> => new Promise((resolve) => setTimeout(() => resolve(0), bench.sized(ALONE_MS)));
  const apply = async (args: readonly string[]): Promise<number> =>
    (await runWorkers({ stack, target, sizes }, "copy", 1, args)).perSecond;
  const contestants: readonly (readonly [string, () => Promise<number>])[] = [
    ["nothing migrated", pause],
    ["no limit", () => apply([])],
    [`--target-latency-ms ${limit}`, () => apply(["--target-latency-ms", limit])],
  ];
  await services.during(pause); // warm
  const found = new Map<string, Round[]>();
  for (let n = 1; n <= bench.rounds; n++)
    for (const [name, work] of contestants) {
      const { result: perSecond, latencies } = await services.during(work);
      const one = { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), perSecond };
      console.log(
        `round ${n}  ${name.padEnd(24)} p99 ${round(one.p99)} ms of ${latencies.length}, ${Math.round(perSecond)}/s`,
      );
      found.set(name, [...(found.get(name) ?? []), one]);
    }
  services.stop();
  const versions = await versionsOf(stack);
  await target.close();
  const middle = (name: string, what: keyof Round): number => median((found.get(name) ?? []).map((one) => one[what]));
  const [alone, free, limited] = contestants.map(([name]) => name) as [string, string, string];
  const rows: Row[] = contestants.map(([name]) => ({
    worker: name,
    "services' p50 ms": round(middle(name, "p50")),
    "services' p99 ms": round(middle(name, "p99")),
    "copied/s": Math.round(middle(name, "perSecond")),
  }));
  const result = {
    name: "throttle",
    rows,
    versions,
    ratios: {
      "free.p99OverAlone": round(middle(free, "p99") / middle(alone, "p99")),
      "limited.p99OverAlone": round(middle(limited, "p99") / middle(alone, "p99")),
      "limited.rate": round(middle(limited, "perSecond") / middle(free, "perSecond")),
    },
  };
  report(result, bench.full);
};
