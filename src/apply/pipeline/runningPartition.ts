import type { Claim } from "#apply/lanes/claims.ts";
import { partitionId } from "#apply/lanes/laneRecords.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { BudgetShare } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Logger } from "#base/observe/log.ts";
import { Lane, type LaneDeps } from "./lane.ts";
import type { LaneWriter } from "./laneWriter.ts";
import { Letters, type LettersDeps } from "./letters.ts";
import { type PartitionDeps, PartitionRunner } from "./partitionRunner.ts";

/** A lane and its writer. */
export type RunningLane = Readonly<{ lane: Lane; writer: LaneWriter }>;

export type RunningPartitionDeps = Omit<PartitionDeps, "lanes"> &
  Omit<LettersDeps, "lanes" | "dropAt"> &
  Omit<LaneDeps, "writer" | "budget"> &
  Readonly<{
    claim: Claim;
    /** One for each lane of the claim. */
    writers: readonly LaneWriter[];
    budget: BudgetShare;
    /** As `dropAt`, with a drop that was begun and not finished. */
    begunAt: () => bigint;
    clock: Clock;
    logger: Logger;
    /** What else is done once a second, between the lanes' batches. */
    beside: (lanes: readonly RunningLane[]) => readonly (() => Promise<void>)[];
    /** Ends it at once. */
    hard: AbortSignal;
  }>;

/** How often operators' decisions are looked for, and counts are saved, ms. */
const LOOK_MS = 1000;
/** A batch that takes longer is logged, and again after each such time, ms. */
const SLOW_MS = 10_000;

const unlessItPasses = (error: unknown): void => {
  if (!isFerry(error) || error.entry.retry === "never") throw error;
};

/** A claimed partition at work: its reader, its lanes, and what is done beside them once a second. */
export class RunningPartition {
  readonly claim: Claim;
  /** Settles when it ended: normally after `stop`, otherwise with what made it fail. */
  readonly done: Promise<void>;
  readonly #deps: RunningPartitionDeps;
  readonly #soft = new AbortController();
  readonly #pairs: readonly RunningLane[];
  readonly #runner: PartitionRunner;

  /** Begins to work. */
  constructor(deps: RunningPartitionDeps) {
    this.#deps = deps;
    this.claim = deps.claim;
    const { claim, ns, partitionCount, reader, firstOffset, decode, lane, spelled, dropAt } = deps;
    const { onDdl, see, onCopyRun, budget, batchBytes, batchCount, throttle, clock } = deps;
    const onApplied = (count: number, bytes: number): void => {
      deps.onApplied(count, bytes);
      reader.settled?.(this.offset());
    };
    const laneOf = (writer: LaneWriter): Lane =>
      new Lane({ writer, budget, clock, batchBytes, batchCount, throttle, onApplied });
    this.#pairs = deps.writers.map((writer) => ({ writer, lane: laneOf(writer) }));
    this.#runner = new PartitionRunner({
      ...{ claim, ns, partitionCount, reader, firstOffset, decode },
      lanes: this.#pairs.map(({ lane }) => lane),
      ...{ lane, spelled, budget, dropAt, onDdl, see, onCopyRun },
    });
    reader.awaited?.((offset) => {
      for (const { lane } of this.#pairs) lane.await(offset);
    });
    this.done = this.#work();
  }

  get key(): string {
    return partitionId(this.claim.route, this.claim.partition);
  }

  /** What was read is applied and saved, then it ends. */
  stop(): void {
    this.#soft.abort();
  }

  /** Log time of its oldest unsettled record, ms. */
  oldestMs(): number | undefined {
    const times = this.#pairs.flatMap(({ lane }) => lane.oldestMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Lowest position of its lanes. */
  offset(): number {
    return Math.min(...this.#pairs.map(({ lane }) => lane.offset));
  }

  /** Since when its oldest batch is being written, ms; undefined while none is. */
  writingSinceMs(): number | undefined {
    const times = this.#pairs.flatMap(({ lane }) => lane.writing?.sinceMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Records of the log after its position, as far as it knows. */
  waitingRecords(): number {
    return Math.max(0, (this.#runner.highWatermark ?? 0) - this.offset());
  }

  /** Documents whose events wait in the dead letters. */
  get heldDocuments(): number {
    return this.#deps.held.size;
  }

  async #work(): Promise<void> {
    const { budget, reader, hard, refresh, begunAt, beside } = this.#deps;
    const { claim, ns, deadLetters, decode, lane, held, clock } = this.#deps;
    const letters = new Letters({
      ...{ claim, ns, deadLetters, decode, dropAt: begunAt },
      ...{ lanes: this.#pairs, lane, held, clock, refresh },
    });
    using _budget = budget;
    await using _reader = reader;
    await using tasks = new TaskGroup(hard);
    const leaving = AbortSignal.any([this.#soft.signal, tasks.signal]);
    const everySecond = (work: () => Promise<void>): void => tasks.run(() => this.#everySecond(leaving, work));
    tasks.run(() => this.#runner.run(this.#soft.signal, tasks.signal));
    everySecond(() => letters.look());
    for (const work of beside(this.#pairs)) everySecond(work);
    everySecond(refresh);
    everySecond(async () => this.#sayWhatIsAwaited());
    const [first] = this.#pairs;
    if (first !== undefined) everySecond(() => first.lane.between(() => first.writer.steps.saveDrift()));
    await tasks.settled();
  }

  /**
   * Repeats quiet work beside the lanes until the signal. Transient errors are left for the next time: the lanes notice a
   * target that is away, and wait for it. Work that waits for a lane that has ended is left behind.
   */
  #everySecond(ended: AbortSignal, work: () => Promise<void>): Promise<void> {
    return every(LOOK_MS, { clock: this.#deps.clock, ended, first: "later" }, async () => {
      await unlessAborted(work().catch(unlessItPasses), ended);
    });
  }

  #sayWhatIsAwaited(): void {
    const { clock, logger, claim } = this.#deps;
    for (const { lane } of this.#pairs) {
      const { sinceMs, records: count } = lane.writing ?? { sinceMs: clock.now(), records: 0 };
      const ms = clock.now() - sinceMs;
      // Once in ten seconds: it is checked once a second.
      if (ms >= SLOW_MS && ms % SLOW_MS < LOOK_MS)
        logger.warn({ route: claim.route, count, ms }, "waiting for the target: one batch takes long");
    }
  }
}
