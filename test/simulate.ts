/**
 * `npm run simulate -- [--schedules N] [--seed N] [--of lanes|capture] [--path P]`: random schedules of the engine in memory, as
 * many as wanted (`test/harness/simulation`), on all processors. A failure prints the seed and the path with which it comes back.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import fc from "fast-check";
import { anyCaptureSchedule } from "./harness/simulation/captureSchedule.ts";
import { simulateCapture } from "./harness/simulation/captureWorld.ts";
import { anySchedule } from "./harness/simulation/schedule.ts";
import { simulate } from "./harness/simulation/world.ts";

/** Each with its part of all schedules. */
const SIMULATIONS = {
  lanes: { part: 0.7, property: fc.asyncProperty(anySchedule, simulate) },
  capture: { part: 0.3, property: fc.asyncProperty(anyCaptureSchedule, simulateCapture) },
};

type Name = keyof typeof SIMULATIONS;
type Share = Readonly<{ of: Name; seed: number; schedules: number; path?: string | undefined }>;

const LIMIT_MS = 10 * 60_000;

/** @returns what failed, for people; undefined where all is as the model says */
const check = async ({ of, seed, schedules, path }: Share): Promise<string | undefined> => {
  const found = await fc.check<unknown[]>(SIMULATIONS[of].property as fc.IAsyncProperty<unknown[]>, {
    seed,
    numRuns: schedules,
    ...(path === undefined ? {} : { path }),
    interruptAfterTimeLimit: LIMIT_MS,
  });
  if (!found.failed) return undefined;
  const { counterexample, counterexamplePath, errorInstance, numRuns, numShrinks } = found;
  return [
    JSON.stringify(counterexample?.[0], undefined, 1),
    (errorInstance as Error | undefined)?.stack,
    `schedule ${numRuns}, made simpler ${numShrinks} times; again with`,
    `  npm run simulate -- --of ${of} --seed ${seed} --path ${counterexamplePath}`,
  ].join("\n");
};

/** In a thread of its own. */
const checkBeside = (share: Share): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: share });
    thread.once("message", (failure: string | undefined) => {
      resolve(failure);
      void thread.terminate();
    });
    thread.once("error", reject);
  });

const sharesOf = (names: readonly Name[], schedules: number, seed: number): readonly Share[] => {
  const whole = names.reduce((sum, name) => sum + SIMULATIONS[name].part, 0);
  const threads = availableParallelism();
  return Array.from({ length: threads }, (_, thread) =>
    names.map((of) => {
      const share = Math.ceil((schedules * SIMULATIONS[of].part) / whole / threads);
      return { of, seed: seed + thread, schedules: share };
    }),
  ).flat();
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      schedules: { type: "string", default: "10000" },
      seed: { type: "string" },
      of: { type: "string" },
      path: { type: "string" },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 2 ** 30);
  const names = (Object.keys(SIMULATIONS) as Name[]).filter((name) => values.of === undefined || name === values.of);
  const [only = "lanes"] = names;
  const began = performance.now();
  const { path } = values;
  const shares = sharesOf(names, Number(values.schedules), seed);
  const failures =
    path === undefined
      ? await Promise.all(shares.map(checkBeside))
      : [await check({ of: only, seed, schedules: Number(values.schedules), path })];
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const count = shares.reduce((sum, { schedules }) => sum + schedules, 0);
  for (const failure of failures) if (failure !== undefined) console.log(failure);
  if (failures.some((failure) => failure !== undefined)) process.exitCode = 1;
  else if (path === undefined) console.log(`${count} schedules in ${seconds} s, seed ${seed}: all as the model says`);
  else console.log("as the model says");
};

if (isMainThread) await main();
else parentPort?.postMessage(await check(workerData as Share));
