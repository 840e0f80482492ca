import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Parts } from "#cutover/machine/parts.ts";
import type { CutoverMemory, CutoverRecord, Move, Seen } from "#cutover/machine/record.ts";

/** Time that passes only while everything sleeps. */
export class VirtualClock implements Clock {
  #now = 1_000_000;
  readonly #sleepers = new Set<{ at: number; wake: () => void }>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        if (this.#sleepers.delete(sleeper)) reject(signal.reason);
      });
    });
  }

  /** Lets time pass until `work` is settled. */
  async until<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = work.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    while (!settled) {
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (settled) break;
      const [next] = [...this.#sleepers].sort((a, b) => a.at - b.at);
      if (next === undefined) throw new Error("everything waits, and nothing sleeps");
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    return done;
  }
}

/** Anything that is done to the world, with the time it takes. `refuses`: it always fails with this error. */
export type Plan = Readonly<Record<string, Readonly<{ ms?: number; refuses?: FerryError }>>>;

/** Both sides, what operators' services believe, and the record: all that outlives a process. */
export class World {
  readonly clock = new VirtualClock();
  readonly plan: Plan;
  fenced = false;
  address: "source" | "target" = "source";
  deferred = true;
  hurried = false;
  record: CutoverRecord | undefined;
  /** What must never be, and was. */
  readonly faults: string[] = [];
  readonly done: string[] = [];
  #neitherSince: number | undefined;
  longestMs = 0;

  constructor(plan: Plan) {
    this.plan = plan;
  }

  /** Looked at behind every change. */
  look(): void {
    if (this.address === "target" && !this.fenced) this.faults.push("both sides take writes");
    const neither = this.address === "source" && this.fenced;
    if (neither) this.#neitherSince ??= this.clock.now();
    else if (this.#neitherSince !== undefined) {
      this.longestMs = Math.max(this.longestMs, this.clock.now() - this.#neitherSince);
      this.#neitherSince = undefined;
    }
  }

  get waits(): boolean {
    return this.#neitherSince !== undefined;
  }
}

/** A process. One that was killed never comes back from what it does then. */
export class Life {
  #left: number;
  #before: boolean;
  dead = false;
  calls = 0;

  /** @param killedAt its n-th deed. @param before the deed is not done, or its result is lost */
  constructor(killedAt = Number.POSITIVE_INFINITY, before = false) {
    this.#left = killedAt;
    this.#before = before;
  }

  async does<T>(deed: () => Promise<T>): Promise<T> {
    if (this.dead) return new Promise(() => undefined);
    this.calls++;
    const isLast = --this.#left === 0;
    if (isLast && this.#before) this.dead = true;
    if (this.dead) return new Promise(() => undefined);
    if (isLast) this.dead = true;
    try {
      const result = await deed();
      return this.dead ? new Promise(() => undefined) : result;
    } catch (error) {
      if (this.dead) return new Promise(() => undefined);
      throw error;
    }
  }
}

const LEASE_MS = 1000;

/** The record in memory, as the target keeps it. */
export class WorldMemory implements CutoverMemory {
  readonly #world: World;
  readonly #life: Life;
  readonly #owner: string;

  constructor(world: World, life: Life, owner: string) {
    this.#world = world;
    this.#life = life;
    this.#owner = owner;
  }

  #did<T>(deed: (record: CutoverRecord) => T): Promise<T> {
    return this.#life.does(async () => {
      await this.#world.clock.sleep(2);
      const { record } = this.#world;
      if (record === undefined) throw new FerryError("FERRY_BUG", "no record");
      return deed(record);
    });
  }

  #mine(record: CutoverRecord, { epoch, state }: CutoverRecord, sameState: boolean): void {
    if (record.epoch !== epoch || (sameState && record.state !== state))
      throw new FerryError("FERRY_CUTOVER_TAKEN", "");
  }

  #pausedMs({ entered: { fencing } }: CutoverRecord): number {
    return fencing === undefined ? 0 : this.#world.clock.now() - fencing.getTime();
  }

  move(from: CutoverRecord, { to, lapMs, found, refused }: Move): Promise<CutoverRecord> {
    return this.#did((record) => {
      this.#mine(record, from, true);
      if (to === "releasing" && this.#pausedMs(record) >= record.maxPauseMs)
        throw new FerryError("FERRY_CUTOVER_PAUSE", "late");
      const now = new Date(this.#world.clock.now());
      this.#world.record = {
        ...record,
        ...found,
        state: to,
        laps: { ...record.laps, [from.state]: lapMs },
        entered: { ...record.entered, [to]: now },
        ...(refused === undefined || record.refused !== undefined
          ? {}
          : { refused: { code: refused.code, detail: refused.detail, at: now } }),
      };
      return this.#world.record;
    });
  }

  renew(mine: CutoverRecord): Promise<void> {
    return this.#did((record) => {
      this.#mine(record, mine, false);
      record.expiresAt = new Date(this.#world.clock.now() + LEASE_MS);
    });
  }

  leave(mine: CutoverRecord): Promise<void> {
    return this.#did((record) => {
      this.#mine(record, mine, false);
      record.expiresAt = new Date(this.#world.clock.now() - 1);
    });
  }

  latest(): Promise<Seen> {
    return this.#did((record) => ({
      record: { ...record },
      free: record.expiresAt.getTime() < this.#world.clock.now(),
      pausedMs: this.#pausedMs(record),
    }));
  }

  take(seen: CutoverRecord, by: "lease" | "force"): Promise<Seen> {
    return this.#did((record) => {
      this.#mine(record, seen, true);
      if (by === "lease" && record.expiresAt.getTime() >= this.#world.clock.now())
        throw new FerryError("FERRY_CUTOVER_ALIVE", "");
      record.epoch++;
      record.owner = this.#owner;
      record.expiresAt = new Date(this.#world.clock.now() + LEASE_MS);
      return { record: { ...record }, free: false, pausedMs: this.#pausedMs(record) };
    });
  }
}

/** What a process of this life does to the world. */
export const partsOf = (world: World, life: Life, watchman: () => void): Parts => {
  const does =
    (name: string, effect: () => void = () => undefined) =>
    (signal?: AbortSignal): Promise<void> =>
      life.does(async () => {
        const { ms = 5, refuses } = world.plan[name] ?? {};
        await world.clock.sleep(ms, signal);
        if (refuses !== undefined) throw refuses;
        world.done.push(name);
        effect();
        world.look();
      });
  const unready = async () => [];
  const raise = does("raise", () => {
    world.fenced = true;
  });
  return {
    capture: {
      unready,
      hurry: (on) =>
        does("hurry", () => {
          world.hurried = on;
        })(),
      drainTo: (_, signal) => does("drain")(signal),
      end: async (_, signal) => {
        await does("end")(signal);
        return [];
      },
    },
    fence: {
      kind: "user-write-block",
      unready,
      raise: async (_, signal) => {
        await raise(signal);
        return 7n;
      },
      lift: does("lift", () => {
        world.fenced = false;
      }),
    },
    proof: {
      unready,
      approach: (signal) => does("approach")(signal),
      missing: async (_, signal) => {
        const refused = world.plan["prove"]?.refuses;
        await life.does(() => world.clock.sleep(world.plan["prove"]?.ms ?? 5, signal));
        return refused;
      },
    },
    deferred: {
      unready,
      obstaclesBack: async () => [],
      restoreCheap: (signal) =>
        does("restore", () => {
          world.deferred = false;
        })(signal),
      deferAgain: does("deferAgain", () => {
        world.deferred = true;
      }),
    },
    wayBack: { unready: async () => [], position: async () => undefined },
    services: {
      trial: (signal) => does("trial")(signal),
      release: (_, signal) =>
        does("release", () => {
          world.address = "target";
        })(signal),
    },
    watchman: {
      ready: () =>
        life.does(async () => {
          watchman();
        }),
    },
  };
};

export const newRecord = (maxPauseMs: number): CutoverRecord => ({
  _id: 1,
  state: "checking",
  fence: "user-write-block",
  namespaces: [],
  maxPauseMs,
  epoch: 1,
  owner: "driver",
  expiresAt: new Date(1_000_000 + LEASE_MS),
  entered: { checking: new Date(1_000_000) },
  laps: {},
});

export { LEASE_MS };
