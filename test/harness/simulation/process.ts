import type { Clock } from "#base/flow/clock.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { networkError, passing } from "../memory/database.ts";
import type { FakeClock } from "../memory/fakeClock.ts";

/** What goes wrong in a process, at one of its next steps. */
export type Fault = "error" | "conflict" | "kill" | "freeze";

/** How many of its steps take long, and how many some time at least. */
const LONG = 0.01;
const SHORT = 0.1;

const never = (): Promise<never> => new Promise(() => undefined);

/** A process that can be killed or frozen before any of its steps; also its clock stands still then. */
export class SimulatedProcess {
  readonly clock: Clock;
  readonly #time: FakeClock;
  readonly #random: () => number;
  #faults: { fault: Fault; after: number }[] = [];
  #thaw: PromiseWithResolvers<void> | undefined;
  #isDead = false;

  constructor(time: FakeClock, random: () => number) {
    this.#time = time;
    this.#random = random;
    this.clock = {
      now: () => time.now(),
      sleep: (ms, signal) =>
        this.#isDead ? never() : time.sleep(ms, signal).then(() => (this.#isAtWork ? undefined : this.#unlessDead())),
    };
  }

  get isFrozen(): boolean {
    return this.#thaw !== undefined;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Something goes wrong after so many steps. */
  arm(fault: Fault, after: number): void {
    this.#faults.push({ fault, after });
  }

  disarm(): void {
    this.#faults = [];
  }

  kill(): void {
    this.#isDead = true;
  }

  revive(): void {
    this.#thaw?.resolve();
    this.#thaw = undefined;
  }

  get #isAtWork(): boolean {
    return this.#thaw === undefined && !this.#isDead;
  }

  async #unlessDead(): Promise<void> {
    if (this.#thaw !== undefined) await this.#thaw.promise;
    if (this.#isDead) await never();
  }

  /** Between any two steps: others go first, or it ends here. */
  readonly step = async (): Promise<void> => {
    if (!this.#isAtWork) await this.#unlessDead(); // a step is taken some thousand times per schedule
    const draw = this.#random();
    if (draw < LONG) await this.#time.sleep(100 + Math.floor(this.#random() * 500));
    else if (draw < SHORT) await this.#time.sleep(1 + Math.floor(this.#random() * 10));
    else for (let n = Math.floor(this.#random() * 4); n > 0; n--) await undefined;
    const due = this.#faults.find((one) => one.after-- === 0);
    if (due !== undefined) this.#meet(due);
    if (!this.#isAtWork) await this.#unlessDead();
  };

  #meet(due: Readonly<{ fault: Fault; after: number }>): void {
    this.#faults = this.#faults.filter((one) => one !== due);
    if (due.fault === "error") throw networkError();
    if (due.fault === "conflict") throw passing(ServerCode.WriteConflict, "another client writes it");
    if (due.fault === "kill") this.kill();
    if (due.fault === "freeze") this.#thaw ??= Promise.withResolvers<void>();
  }
}

/** Runs a world whose chance, also of the pauses between retries, comes from its schedule alone. @throws what the world throws */
export const runRepeatably = async (
  world: Readonly<{ random: () => number; run: () => Promise<void> }>,
): Promise<void> => {
  const { random } = Math;
  Math.random = world.random;
  try {
    await world.run();
  } finally {
    Math.random = random;
  }
};
