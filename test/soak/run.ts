/**
 * `npm run soak -- [--seeds 50] [--seed N]`: for each seed writers, changes of the collections themselves, and `kill -9` at
 * points and times drawn from the seed; started again each time. `--seed` is the first one: `--seeds 1 --seed N` repeats one.
 * Ends with a table of what was killed how often, and with 1 where a seed did not hold.
 *
 * `npm run soak -- cutover [--seeds 112] [--seed N]`: for each seed a cutover under load, one of whose processes is killed in one
 * of its states.
 */
import { parseArgs } from "node:util";
import { FAULT_POINTS, type FaultPoint } from "#base/flow/fault.ts";
import { Tally } from "./kills.ts";
import { runSeed, runSwitchSeed } from "./seed.ts";
import { startServers } from "./servers.ts";

const count = (text: string, flag: string): number => {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 0) return n;
  console.error(`--${flag} must be a whole number, not "${text}"`);
  process.exit(64);
};

const { values, positionals } = parseArgs({
  options: { seeds: { type: "string" }, seed: { type: "string", default: "1" } },
  allowPositionals: true,
});
const isCutover = positionals[0] === "cutover";
const [seeds, first] = [count(values.seeds ?? (isCutover ? "112" : "50"), "seeds"), count(values.seed, "seed")];

const tally = new Tally();
const failed: number[] = [];
const started = performance.now();
{
  await using servers = await startServers();
  for (let seed = first; seed < first + seeds; seed++) {
    const error = isCutover ? await runSwitchSeed(seed, servers) : await runSeed(seed, servers, tally);
    if (error === undefined) continue;
    failed.push(seed);
    const repeat = `npm run soak -- ${isCutover ? "cutover " : ""}--seeds 1 --seed ${seed}`;
    console.log(`seed ${seed} did not hold; ${repeat} repeats it\n${error instanceof Error ? error.stack : error}`);
  }
}

const seconds = Math.round((performance.now() - started) / 1000);
const lost = `${failed.length} seeds did not hold${failed.length > 0 ? `: ${failed.join(", ")}` : ""}, ${seconds} s`;
if (isCutover) {
  console.log(`\n${seeds} cutovers from seed ${first} on, ${lost}`);
  process.exit(failed.length > 0 ? 1 : 0);
}

console.log("\npoint                 killed  not reached");
for (const point of FAULT_POINTS) {
  const times = (kills: Tally["reached"]): string => String(kills.filter((kill) => kill.point === point).length);
  console.log(`${point.padEnd(20)} ${times(tally.reached).padStart(7)} ${times(tally.missed).padStart(12)}`);
}
/** Of `npm run soak -- cutover`, and of test/integration/cognito.test.ts. */
const ELSEWHERE: readonly FaultPoint[] = ["cutover-entered", "cutover-acted", "user-noted", "user-changed"];
const never = FAULT_POINTS.filter((point) => !ELSEWHERE.includes(point)).filter((point) =>
  tally.reached.every((kill) => kill.point !== point),
);
console.log(
  `${seeds} seeds from ${first} on, ${tally.reached.length} kills at named points, ${tally.missed.length} elsewhere, ${lost}`,
);
// Fewer seeds than points cannot lead through all of them.
const uncovered = seeds >= FAULT_POINTS.length && never.length > 0;
if (uncovered) console.log(`never killed at ${never.join(", ")}`);
process.exitCode = failed.length > 0 || uncovered ? 1 : 0;
