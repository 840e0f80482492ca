import { type Entry, entryBytes } from "#apply/plan/entry.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { BudgetShare } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { pauseFor } from "#base/flow/every.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import { lastMsOf } from "#source/stream/resumeToken.ts";
import type { LaneWriter } from "./laneWriter.ts";

export type LaneDeps = Readonly<{
  writer: LaneWriter;
  budget: BudgetShare;
  clock: Clock;
  batchBytes: number;
  batchCount: number;
  /** Undefined where the target's services need no consideration. */
  throttle: Throttle | undefined;
  /** What was applied, and that the position has moved: with nothing applied, past records of other lanes. */
  onApplied: (count: number, bytes: number) => void;
}>;

/** A batch that is being written. */
export type Writing = Readonly<{ sinceMs: number; records: number }>;

/** What runs between two batches; `skip` answers its caller where the lane ends before it. */
type Job = Readonly<{ run: () => Promise<void>; skip: () => void }>;

/** An idle lane writes its position this long after the others moved on, ms. */
const IDLE_MS = 1000;

const pauseUnlessWoken = async (clock: Clock, ms: number, woken: Promise<void>): Promise<void> => {
  const over = new AbortController();
  await Promise.race([woken, pauseFor(clock, ms, over.signal)]);
  over.abort("woken"); // a reason costs nothing; without one an exception is made, for each wait of each lane
};

/**
 * One serial queue. A batch is whatever came while the last one was being written, capped by bytes and count: an idle
 * lane answers in one round trip, a busy one fills its transactions.
 */
export class Lane {
  readonly #deps: LaneDeps;
  #queue: Entry[] = [];
  #end: number;
  #wake: (() => void) | undefined;
  #closed = false;
  #drained: (() => void)[] = [];
  #jobs: Job[] = [];
  #ended = false;
  #behindSinceMs: number | undefined;
  #awaited = 0;
  #writing: Writing | undefined;

  constructor(deps: LaneDeps) {
    this.#deps = deps;
    this.#end = deps.writer.state.offset;
  }

  /** Next offset to read, as saved. */
  get offset(): number {
    return this.#deps.writer.state.offset;
  }

  /** When the oldest change that is not on the target was made, by the source's time to the second, ms; undefined while there is none. */
  get oldestMs(): number | undefined {
    const [first] = this.#queue;
    const at = first?.event?.origin === "stream" ? first.event.at : 0n;
    return at === 0n ? first?.record.timestampMs : lastMsOf(at);
  }

  /** What it waits for the target with; undefined while nothing is being written. */
  get writing(): Writing | undefined {
    return this.#writing;
  }

  /** Adds entries (log order) and says that everything of this lane before `end` has been handed over. */
  push(entries: readonly Entry[], end: number): void {
    for (const entry of entries) this.#queue.push(entry);
    if (entries.length > 0 || end > this.#end) this.#wake?.();
    if (end > this.#end) this.#end = end;
  }

  /** A caller waits until everything before this offset is settled: an idle lane saves its position as soon as it can. */
  await(offset: number): void {
    if (offset <= this.#awaited) return;
    this.#awaited = offset;
    this.#wake?.();
  }

  /** Runs `job` between two batches: no write of this lane is under way meanwhile. Resolves without it where the lane ends first. */
  between(job: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queueJob({ run: () => job().then(resolve, reject), skip: resolve });
    });
  }

  /** Resolves when no write of this lane is under way; none begins until the answer is called, or the signal aborts. */
  standStill(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve) => {
      const run = async (): Promise<void> => {
        const { promise, resolve: goOn } = Promise.withResolvers<void>();
        resolve(goOn);
        await unlessAborted(promise, signal);
      };
      this.#queueJob({ run, skip: () => resolve(() => undefined) });
    });
  }

  #queueJob(job: Job): void {
    if (this.#ended) job.skip();
    else this.#jobs.push(job);
    this.#wake?.();
  }

  /** No more entries come: `run` returns when the queue is written. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Resolves when everything pushed so far is on the target and the position is saved. */
  drained(): Promise<void> {
    if (this.#queue.length === 0 && this.offset === this.#end) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#wake?.();
    });
  }

  /** Writes until closed and empty. @throws what the writer throws; `signal` ends it immediately. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake, { once: true });
    try {
      await this.#work(signal);
    } finally {
      signal.removeEventListener("abort", wake);
      this.#ended = true;
      // A caller that waits for a job would wait for ever, and the partition's other tasks with it.
      for (const { skip } of this.#jobs.splice(0)) skip();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const job = this.#jobs.shift();
      if (job !== undefined) await job.run();
      else if (this.#queue.length > 0) await this.#writeBatch(signal);
      else if (this.#end > this.offset && this.#isAwaited) await this.#move();
      else if (this.#closed) return;
      else await this.#idle();
      this.#settle();
    }
  }

  get #isAwaited(): boolean {
    if (this.#closed || this.#drained.length > 0) return true;
    return this.offset < this.#awaited && this.#awaited <= this.#end;
  }

  async #writeBatch(signal: AbortSignal): Promise<void> {
    const { writer, budget, clock, throttle, batchBytes, onApplied } = this.#deps;
    const batchCount = throttle?.batchCount(this.#deps.batchCount) ?? this.#deps.batchCount;
    const startedAt = clock.now();
    let [count, bytes] = [0, 0];
    for (const entry of this.#queue) {
      const size = entryBytes(entry);
      if (count > 0 && (count >= batchCount || bytes + size > batchBytes)) break;
      bytes += size;
      count++;
    }
    const batch = this.#queue.slice(0, count);
    // The batch stays at the head of the queue until it is durable: lag is the age of the oldest unsettled record.
    this.#writing = { sinceMs: startedAt, records: count };
    await writer.write(batch, this.#queue[count]?.record.offset ?? this.#end);
    this.#writing = undefined;
    this.#queue.splice(0, count);
    this.#behindSinceMs = undefined;
    budget.give(bytes);
    onApplied(count, bytes);
    const restMs = throttle?.restAfter(clock.now() - startedAt) ?? 0;
    if (restMs > 0) await pauseFor(clock, restMs, signal);
  }

  /** Saves how far the log went without records of this lane. */
  async #move(): Promise<void> {
    await this.#deps.writer.write([], this.#end);
    this.#behindSinceMs = undefined;
    this.#deps.onApplied(0, 0);
  }

  /** Waits for work; a lane that has none for a while saves how far the log went without it. */
  async #idle(): Promise<void> {
    const { clock } = this.#deps;
    const { promise: woken, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    try {
      if (this.#end === this.offset) {
        this.#behindSinceMs = undefined;
        await woken;
        return;
      }
      this.#behindSinceMs ??= clock.now();
      const restMs = this.#behindSinceMs + IDLE_MS - clock.now();
      if (restMs > 0) await pauseUnlessWoken(clock, restMs, woken);
      else await this.#move();
    } finally {
      this.#wake = undefined;
    }
  }

  #settle(): void {
    if (this.#drained.length === 0 || this.#queue.length > 0 || this.offset !== this.#end) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
