import { directSeed } from "./directSeed.ts";
import { kafkaSeed } from "./kafkaSeed.ts";
import { Tally } from "./kills.ts";
import { type Kill, planOf } from "./plan.ts";
import type { SoakServers } from "./servers.ts";
import { switchPlanOf, switchSeed } from "./switchSeed.ts";

const spell = ({ phase, who, point, nth }: Kill): string =>
  `${who === "run" ? phase : `${who}/${phase}`} ${point}:${nth}`;

/** Runs one seed and says what came of it. Returns what did not hold. */
export const runSeed = async (seed: number, servers: SoakServers, tally: Tally): Promise<unknown> => {
  const plan = planOf(seed);
  const own = new Tally();
  const started = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const missed = own.missed.length === 0 ? "" : `; not reached: ${own.missed.map(spell).join(", ")}`;
    console.log(`seed ${seed} ${plan.topology} [${plan.kills.map(spell).join(", ")}] ${text}${missed}, ${seconds} s`);
  };
  try {
    const run = plan.topology === "direct" ? directSeed : kafkaSeed;
    say(`equal: ${await run(plan, servers, own)}`);
    return undefined;
  } catch (error) {
    say("did not hold");
    return error;
  } finally {
    for (const kill of own.reached) tally.add(kill, true);
    for (const kill of own.missed) tally.add(kill, false);
  }
};

/** The same for a seed of `npm run soak -- cutover`. */
export const runSwitchSeed = async (seed: number, servers: SoakServers): Promise<unknown> => {
  const { topology, victim, state, phase } = switchPlanOf(seed);
  const started = performance.now();
  const say = (text: string): void =>
    console.log(
      `seed ${seed} ${topology} [${victim} killed, ${state} ${phase}] ${text}, ${((performance.now() - started) / 1000).toFixed(0)} s`,
    );
  try {
    say(await switchSeed(seed, servers));
    return undefined;
  } catch (error) {
    say("did not hold");
    return error;
  }
};
