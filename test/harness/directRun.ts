import type { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { type Comparison, compare } from "./compare.ts";
import { ferry } from "./ferry.ts";
import { connectedText, FerryProcess } from "./worker.ts";

export type DirectStart = Readonly<{
  source: string;
  /** Undefined where no route goes to MongoDB. */
  target?: string;
  include?: readonly string[];
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
}>;

const flags = ({ source, target, include = [], args = [] }: DirectStart): string[] => [
  ...["run", "--source", source, ...(target === undefined ? [] : ["--target", target]), "--lease-ms", "1500"],
  ...include.flatMap((name) => ["--include", name]),
  ...args,
];

/** `ferry run` as a child process that has connected, or said what else is expected. The caller disposes of it. */
export const startDirect = async (options: DirectStart, readyText = connectedText(options)): Promise<FerryProcess> => {
  const run = new FerryProcess("run", flags(options), options.env ?? {}, readyText);
  await run.start();
  return run;
};

/** `ferry run` that is expected to end. */
export const endDirect = (options: DirectStart): ReturnType<typeof ferry> =>
  ferry(flags(options), { env: { ...options.env } });

let markers = 0;

/**
 * After the last write to the source: inserts a marker there, waits until it is on the target, and compares byte for byte.
 * One stream carries all namespaces in order, so what was written before the marker was applied before it or is about to be.
 * @throws FERRY_TIMEOUT with what was last seen
 */
export const directConverged = (
  source: MongoClient,
  target: MongoClient,
  namespace: string,
  timeoutMs = 60_000,
): Promise<Comparison> => {
  const { db, coll } = parseNamespace(namespace);
  const _id = `marker-${process.pid}-${++markers}` as never;
  const [here, there] = [source.db(db).collection(coll), target.db(db).collection(coll)];
  return waitFor(
    async () => {
      await here.updateOne({ _id }, { $set: { at: 1 } }, { upsert: true });
      if ((await there.findOne({ _id })) === null) return { seen: "no marker" };
      const found = await compare(here, there);
      return found.wrong === 0 ? { done: found } : { seen: found };
    },
    { what: `${namespace} to be equal on both sides`, clock: systemClock, timeoutMs, everyMs: 200 },
  );
};

export type CaptureStart = DirectStart & Readonly<{ kafka: string }>;

const captureFlags = ({ kafka, ...options }: CaptureStart): string[] => [
  ...["capture", ...flags(options).slice(1)],
  ...["--kafka", kafka],
];

/** `ferry capture` that is expected to end. */
export const endCapture = (options: CaptureStart): ReturnType<typeof ferry> =>
  ferry(captureFlags(options), { env: { ...options.env } });

/** `ferry capture` as a child process that writes to Kafka. The caller disposes of it. */
export const startCapture = async (options: CaptureStart): Promise<FerryProcess> => {
  const capture = new FerryProcess("capture", captureFlags(options), options.env ?? {}, "writing to Kafka");
  await capture.start();
  return capture;
};
