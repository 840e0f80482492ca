/**
 * `npm run soak -- [--seeds 50] [--seed N]`: for each seed writers, changes of the collections themselves, and `kill -9` at
 * points and times drawn from the seed; started again each time. `--seed` is the first one: `--seeds 1 --seed N` repeats one.
 * Ends with a table of what was killed how often, and with 1 where a seed did not hold.
 */
import { parseArgs } from "node:util";
import { FAULT_POINTS } from "#base/flow/fault.ts";
import { Tally } from "./kills.ts";
import { runSeed } from "./seed.ts";
import { startServers } from "./servers.ts";

const count = (text: string, flag: string): number => {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 0) return n;
  console.error(`--${flag} must be a whole number, not "${text}"`);
  process.exit(64);
};

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "50" }, seed: { type: "string", default: "1" } },
});
const [seeds, first] = [count(values.seeds, "seeds"), count(values.seed, "seed")];

const tally = new Tally();
const failed: number[] = [];
const started = performance.now();
{
  await using servers = await startServers();
  for (let seed = first; seed < first + seeds; seed++) {
    const error = await runSeed(seed, servers, tally);
    if (error === undefined) continue;
    failed.push(seed);
    console.log(
      `seed ${seed} did not hold; npm run soak -- --seeds 1 --seed ${seed} repeats it\n${error instanceof Error ? error.stack : error}`,
    );
  }
}

console.log("\npoint                 killed  not reached");
for (const point of FAULT_POINTS) {
  const times = (kills: Tally["reached"]): string => String(kills.filter((kill) => kill.point === point).length);
  console.log(`${point.padEnd(20)} ${times(tally.reached).padStart(7)} ${times(tally.missed).padStart(12)}`);
}
const never = FAULT_POINTS.filter((point) => tally.reached.every((kill) => kill.point !== point));
const seconds = Math.round((performance.now() - started) / 1000);
console.log(
  `${seeds} seeds from ${first} on, ${tally.reached.length} kills at named points, ${tally.missed.length} elsewhere, ${failed.length} seeds did not hold${failed.length > 0 ? `: ${failed.join(", ")}` : ""}, ${seconds} s`,
);
// Fewer seeds than points cannot lead through all of them.
const uncovered = seeds >= FAULT_POINTS.length && never.length > 0;
if (uncovered) console.log(`never killed at ${never.join(", ")}`);
process.exitCode = failed.length > 0 || uncovered ? 1 : 0;
