import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { timeLimit } from "#base/flow/timeLimit.ts";
import { type CutoverStep, type Doing, isEnd, mayHaveReleased, TABLE } from "./cutoverTable.ts";
import type { Parts } from "./parts.ts";
import type { CutoverMemory, CutoverRecord, Found, Move, Seen, State } from "./record.ts";
import { waysOn } from "./waysOn.ts";

export type MachineDeps = Readonly<{
  memory: CutoverMemory;
  parts: Parts;
  clock: Clock;
  /** The operator's stop: before the release it goes back, afterwards it stops where it is. */
  signal: AbortSignal;
  leaseMs: number;
  /** What an operator resumes it with, should it stand still. */
  command: string;
  /** A state was entered. */
  report: (record: CutoverRecord) => void;
  /** A transient error is retried. */
  onRetry: (error: FerryError) => void;
}>;

/** Kept back of the pause for the way back, ms: the fence must be down when the limit is reached. */
export const WAY_BACK_MS = 300;

/** What a release that another process has begun gets, ms, whatever is left of the pause: services may have moved already. */
const RELEASE_AGAIN_MS = 10_000;

/** What a guard says stands, and is not looked at again and again. */
const OWN = /^FERRY_CUTOVER_/;

/** Why one goes back whose process is gone. */
const interrupted = ({ state }: CutoverRecord): FerryError =>
  new FerryError("FERRY_CUTOVER_INTERRUPTED", `the process that drove it ended while ${state}`);

/** It waits in this state for the operator's word. */
const standing = (record: CutoverRecord, error: FerryError, command: string): FerryError => {
  const why =
    record.state === "lifting" && record.refused !== undefined ? ` (it goes back since: ${record.refused.detail})` : "";
  const stays = `it stays ${record.state}${why}: ${waysOn(record, command)}`;
  return new FerryError(error.code, `${error.detail}; ${stays}`, { cause: error });
};

/** Drives a cutover through its table. */
export class Machine {
  readonly #deps: MachineDeps;
  /** When the pause began, by `clock`. */
  #pausedAt: number;
  /** When the last act ended, by `clock`: services wait for the record too, so writing it counts in the next step's lap. */
  #lapFrom: number;
  /** Another process was in this state: the outcome of its act is unknown. */
  #again: State | undefined;

  constructor(deps: MachineDeps, { pausedMs }: Pick<Seen, "pausedMs">) {
    this.#deps = deps;
    this.#lapFrom = deps.clock.now();
    this.#pausedAt = this.#lapFrom - pausedMs;
  }

  /**
   * Resumes a cutover whose process is gone: forward where services may have been sent to the target, and back otherwise.
   * @throws as `run`
   */
  async resume(record: CutoverRecord, isOver = isEnd, why = interrupted(record)): Promise<CutoverRecord> {
    const { back } = TABLE[record.state];
    this.#again = record.state;
    if (back === record.state || mayHaveReleased(record.state)) return this.run(record, isOver);
    return this.run(await this.#deps.memory.move(record, { to: back, lapMs: 0, refused: why }), isOver);
  }

  /**
   * From the state that the record is in to an end. Another process may do the same with the same record: the one that took it
   * over last continues.
   * @throws FERRY_CUTOVER_TAKEN; what an act throws in a state that waits to be done again
   */
  async run(record: CutoverRecord, isOver = isEnd): Promise<CutoverRecord> {
    const { memory, clock, leaseMs } = this.#deps;
    await using tasks = new TaskGroup();
    const ended = new AbortController();
    const current = { record };
    tasks.run(() =>
      every(leaseMs / 4, { clock, ended: ended.signal, first: "later" }, async () => {
        await memory.renew(current.record).catch(() => undefined); // met by the next move
      }),
    );
    try {
      while (!isOver(current.record.state)) current.record = await this.#step(current.record);
    } catch (error) {
      if (isFerry(error, "FERRY_CUTOVER_TAKEN")) await this.#leave(current.record);
      throw error;
    } finally {
      ended.abort();
    }
    await tasks.settled();
    return current.record;
  }

  /** Another process that took the cutover over while the fence went up here has gone back: the fence may have gone up after that. */
  async #leave({ _id, state }: CutoverRecord): Promise<void> {
    const { memory, parts } = this.#deps;
    if (state !== "fencing") return;
    if ((await memory.latest())?.record._id === _id) await parts.fence.lift();
  }

  async #step(record: CutoverRecord): Promise<CutoverRecord> {
    const { memory, clock, report } = this.#deps;
    report(record);
    faultPoint("cutover-entered");
    const step: CutoverStep = TABLE[record.state];
    const lap = (): number => {
      const begun = this.#lapFrom;
      this.#lapFrom = clock.now();
      return this.#lapFrom - begun;
    };
    try {
      const found = await this.#do(step, record);
      faultPoint("cutover-acted");
      const moved = await memory.move(record, { to: step.to, lapMs: lap(), found });
      if (moved.state === "fencing") this.#pausedAt = this.#lapFrom = clock.now();
      return moved;
    } catch (error) {
      const back = this.#backOf(record.state);
      if (!isFerry(error) || error.code === "FERRY_CUTOVER_TAKEN") throw error;
      if (back === record.state) throw standing(record, error, this.#deps.command);
      return this.#back(record, { to: back, lapMs: lap(), refused: error });
    }
  }

  /** A release that failed now may have sent services to the target when it was begun: it waits there for the operator's word. */
  #backOf(state: State): State {
    return this.#again === state && mayHaveReleased(state) ? state : TABLE[state].back;
  }

  /** Where the target is away, it cannot be noted, and services still wait for the fence to go. */
  async #back(record: CutoverRecord, move: Move): Promise<CutoverRecord> {
    const { memory, parts, clock, onRetry } = this.#deps;
    try {
      return await memory.move(record, move);
    } catch (error) {
      if (!isFerry(error) || error.entry.retry === "never") throw error;
      if (TABLE[record.state].paused) await parts.fence.lift();
      const patience = { what: "noting the way back", clock, onRetry };
      return retryForever(() => memory.move(record, move), patience);
    }
  }

  /** The act and its guard, as often as a server that is away for a moment takes, within the limit. @throws what sends it back */
  async #do(step: CutoverStep, record: CutoverRecord): Promise<Found> {
    const { memory, parts, clock, onRetry } = this.#deps;
    using time = this.#time(step, record);
    const attempt = async (): Promise<Found> => {
      if (step.exclusive) await memory.renew(record);
      const decided = (): Promise<boolean> => this.#decided(record);
      const doing: Doing = { parts, record, leftMs: time.leftMs(), decided, signal: time.signal };
      const found = (await step.act(doing)) ?? {};
      const refused = await step.guard({ ...doing, record: { ...record, ...found } });
      if (refused !== undefined) throw refused;
      return found;
    };
    const isPassing = ({ entry, code }: FerryError): boolean => entry.retry !== "never" && !OWN.test(code);
    try {
      return await retryForever(attempt, { what: record.state, clock, signal: time.signal, isPassing, onRetry });
    } catch (error) {
      if (time.isLate() && record.state !== "releasing") throw tooLong(record, error);
      throw error;
    }
  }

  /** Nothing is asked of a server for longer than the pause; a process that drove it from the beginning has waited itself. */
  async #decided({ maxPauseMs, entered }: CutoverRecord): Promise<boolean> {
    if (this.#again === undefined || entered.fencing === undefined) return false;
    await this.#deps.clock.sleep(Math.max(0, this.#pausedAt + maxPauseMs - this.#deps.clock.now()));
    return true;
  }

  /** How long a step may take, and what ends it. */
  #time(step: CutoverStep, { state, maxPauseMs }: CutoverRecord) {
    const { clock, signal } = this.#deps;
    const least = state === "releasing" && this.#again === state ? RELEASE_AGAIN_MS : 0;
    const until = Math.max(this.#pausedAt + maxPauseMs - WAY_BACK_MS, clock.now() + least);
    const leftMs = (): number => (step.paused ? Math.max(0, until - clock.now()) : Number.POSITIVE_INFINITY);
    const reason = new FerryError("FERRY_CUTOVER_PAUSE", `the limit of ${maxPauseMs} ms`);
    const limit = step.paused ? timeLimit(leftMs(), clock, reason) : undefined;
    // What goes back, or has passed the point of no return, is not stopped by the first wish.
    const stops = !["lifting", "releasing"].includes(state) ? [signal] : [];
    return {
      leftMs,
      isLate: () => limit?.signal.aborted === true,
      signal: AbortSignal.any([...stops, ...(limit === undefined ? [] : [limit.signal])]),
      [Symbol.dispose]: () => limit?.[Symbol.dispose](),
    };
  }
}

const DOES: Partial<Record<State, string>> = {
  fencing: "the source did not refuse writes, which an open transaction holds up,",
  draining: "not everything was on the target",
  proving: "not everything was proven",
  restoring: "not everything was restored on the target",
};

const tooLong = ({ state, maxPauseMs }: CutoverRecord, error: unknown): FerryError => {
  const why = isFerry(error) && error.code !== "FERRY_CUTOVER_PAUSE" ? ` (${error.detail})` : "";
  const left = maxPauseMs - WAY_BACK_MS;
  return new FerryError("FERRY_CUTOVER_PAUSE", `${DOES[state] ?? state} within ${left} of ${maxPauseMs} ms${why}`, {
    cause: error,
  });
};
