/**
 * `npm run simulate -- [--schedules N] [--seed N] [--path P]`: random schedules of the engine in memory, as many as wanted
 * (`test/harness/simulation`). A failure prints the seed and the path with which it comes back.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { anySchedule } from "./harness/simulation/schedule.ts";
import { simulate } from "./harness/simulation/world.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "10000" },
    seed: { type: "string" },
    path: { type: "string" },
  },
});

const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const began = performance.now();
const found = await fc.check(fc.asyncProperty(anySchedule, simulate), {
  seed,
  numRuns: Number(values.schedules),
  ...(values.path === undefined ? {} : { path: values.path }),
  interruptAfterTimeLimit: 10 * 60_000,
});
const seconds = ((performance.now() - began) / 1000).toFixed(1);
if (!found.failed) console.log(`${found.numRuns} schedules in ${seconds} s, seed ${seed}: all as the model says`);
else {
  const { counterexample, counterexamplePath, errorInstance, numRuns, numShrinks } = found;
  console.log(JSON.stringify(counterexample?.[0], undefined, 1));
  console.log(errorInstance);
  console.log(`schedule ${numRuns}, made simpler ${numShrinks} times; again with`);
  console.log(`  npm run simulate -- --seed ${seed} --path ${counterexamplePath}`);
  process.exitCode = 1;
}
