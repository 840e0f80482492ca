/**
 * `npm run mutants -- [--seed N] [--only TEXT]`: plants one fault after the other into the engine as it is loaded, and says after how
 * many random schedules the simulation finds it. Ends with 1 where one is not found.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import fc from "fast-check";
import { MUTANTS, type Mutant } from "./harness/simulation/mutants.ts";

const MOST = { lanes: 4000, capture: 4000 };

type Task = Readonly<{ mutant: Mutant; seed: number }>;

/** In this thread, every module that is loaded from now on. */
const plant = ({ file, from, to }: Mutant): void => {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (!url.endsWith(`/${file}`)) return loaded;
      return { ...loaded, source: String(loaded.source).replace(from, () => to) };
    },
  });
};

/** @returns after how many schedules it is found; undefined where it is not */
const find = async ({ mutant, seed }: Task): Promise<number | undefined> => {
  plant(mutant);
  const numRuns = MOST[mutant.of];
  // What makes it simpler costs time, and is of no interest.
  const options = { seed, numRuns, endOnFailure: true };
  if (mutant.of === "lanes") {
    const [{ anySchedule }, { simulate }] = [
      await import("./harness/simulation/schedule.ts"),
      await import("./harness/simulation/world.ts"),
    ];
    const found = await fc.check(fc.asyncProperty(anySchedule, simulate), options);
    return found.failed ? found.numRuns : undefined;
  }
  const [{ anyCaptureSchedule }, { simulateCapture }] = [
    await import("./harness/simulation/captureSchedule.ts"),
    await import("./harness/simulation/captureWorld.ts"),
  ];
  const found = await fc.check(fc.asyncProperty(anyCaptureSchedule, simulateCapture), options);
  return found.failed ? found.numRuns : undefined;
};

const beside = (task: Task): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: task });
    thread.once("message", (found: number | undefined) => {
      resolve(found);
      void thread.terminate();
    });
    thread.once("error", reject);
  });

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options: { seed: { type: "string", default: "1" }, only: { type: "string" } } });
  const seed = Number(values.seed);
  for (const mutant of MUTANTS.filter(({ name }) => name.includes(values.only ?? ""))) {
    const parts = readFileSync(join(import.meta.dirname, "..", mutant.file), "utf8").split(mutant.from).length;
    if (parts !== 2) throw new Error(`${mutant.name}: ${mutant.file} has its text ${parts - 1} times`);
    const found = await beside({ mutant, seed });
    if (found === undefined) process.exitCode = 1;
    console.log(`${found === undefined ? "NOT FOUND" : `found by schedule ${found}`}: ${mutant.name} (${mutant.of})`);
  }
};

if (isMainThread) await main();
else parentPort?.postMessage(await find(workerData as Task));
