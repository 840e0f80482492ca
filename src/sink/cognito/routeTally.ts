import { Long } from "bson";
import type { Clock } from "#base/flow/clock.ts";
import { count } from "#base/flow/figures.ts";
import type { Logger } from "#base/observe/log.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/** Documents that a route has brought to its pool, and those that needed no call for it. */
export type Tally = Readonly<{ changed: number; unchanged: number }>;

/** `ferry.cognitoRoutes`, one record a route. */
type TallyRecord = {
  _id: string;
  pool: string;
  changed: Long;
  unchanged: Long;
  /** Documents a second, as the quotas let them pass lately. Of several workers that of one. */
  perSecond: number;
  at: Date;
};

/** One route as `ferry status` shows it. */
export type TallyLine = Tally & Readonly<{ route: string; pool: string; perSecond: number }>;

/** The pace is that of so long a time, ms. */
const WINDOW_MS = 5000;
/** How often the log has it, ms. */
const SAY_MS = 10_000;

export type TallyDeps = Readonly<{ state: StateDb; clock: Clock; logger: Logger }>;

const open = (state: StateDb): Collection<TallyRecord> => state.collection("cognitoRoutes");

/** Counts what one route's sinks in this process do. A batch that is written again is counted again. */
export class RouteTally {
  readonly #route: string;
  readonly #pool: string;
  readonly #deps: TallyDeps;
  #window: { from: number; documents: number };
  #perSecond = 0;
  #said: { at: number } & Record<keyof Tally, number>;

  constructor({ route, pool }: Readonly<{ route: string; pool: string }>, deps: TallyDeps) {
    this.#route = route;
    this.#pool = pool;
    this.#deps = deps;
    const now = deps.clock.now();
    this.#window = { from: now, documents: 0 };
    this.#said = { at: now, changed: 0, unchanged: 0 };
  }

  /** @throws FERRY_MONGO_* */
  async add({ changed, unchanged }: Tally): Promise<void> {
    const now = this.#deps.clock.now();
    this.#measure(changed + unchanged, now);
    this.#say({ changed, unchanged }, now);
    const counts = { changed: Long.fromNumber(changed), unchanged: Long.fromNumber(unchanged) };
    const about = { pool: this.#pool, perSecond: this.#perSecond, at: new Date(now) };
    await translated("noting how many users were changed", () =>
      open(this.#deps.state).updateOne({ _id: this.#route }, { $inc: counts, $set: about }, { upsert: true }),
    );
  }

  #measure(documents: number, now: number): void {
    this.#window.documents += documents;
    const ms = now - this.#window.from;
    if (ms < WINDOW_MS && this.#perSecond > 0) return;
    this.#perSecond = (this.#window.documents * 1000) / Math.max(1, ms);
    if (ms >= WINDOW_MS) this.#window = { from: now, documents: 0 };
  }

  #say({ changed, unchanged }: Tally, now: number): void {
    this.#said.changed += changed;
    this.#said.unchanged += unchanged;
    if (now - this.#said.at < SAY_MS) return;
    const { changed: made, unchanged: saved } = this.#said;
    this.#deps.logger.info(
      { route: this.#route },
      `pool ${this.#pool}: ${count(made, "user")} changed, ${count(saved, "document")} needed no call`,
    );
    this.#said = { at: now, changed: 0, unchanged: 0 };
  }
}

/** The same, wherever it is kept. */
export type TallyOfRoute = Pick<RouteTally, "add">;

/** What all routes to pools have done, by all workers. @throws FERRY_MONGO_* */
export const readTallies = (state: StateDb): Promise<readonly TallyLine[]> =>
  translated("reading how many users were changed", async () => {
    const records = await open(state).find().sort({ _id: 1 }).toArray();
    return records.map(({ _id, pool, changed, unchanged, perSecond }) => ({
      ...{ route: _id, pool, perSecond },
      ...{ changed: Number(changed), unchanged: Number(unchanged) },
    }));
  });
