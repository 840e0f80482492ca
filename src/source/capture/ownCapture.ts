import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { Copy } from "#source/copy/copy.ts";
import { heapForCopying } from "#source/copy/copyHeap.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import type { SpoolOwner } from "#source/spool/spoolChain.ts";
import type { SpoolLook, SpoolMode } from "#source/spool/spoolNeed.ts";
import { type ResumeToken, timeText, tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";
import type { CaptureBook } from "./captureBook.ts";
import type { CaptureSource } from "./captureSource.ts";
import type { CaptureRecord } from "./captureStore.ts";
import { type CaptureFacts, captureSamples } from "./captureVitals.ts";
import { type CaptureWish, paceOf } from "./captureWish.ts";
import { EventRouter } from "./eventRouter.ts";
import { watchOplog } from "./oplogWatch.ts";
import { ReadAhead } from "./readAhead.ts";
import { SavedPosition, topicsOf } from "./savedPosition.ts";
import { watchSpool } from "./spoolWatch.ts";
import { SourceClock, Unapplied } from "./unapplied.ts";

export type OwnCaptureDeps = Readonly<{
  source: CaptureSource;
  store: CaptureBook;
  record: CaptureRecord;
  scope: Scope;
  output: CaptureOutput;
  /** Ranges that are read concurrently. */
  readers: number;
  leaseMs: number;
  /** What earlier processes of this owner's copy have left is opened with it. */
  spool: Readonly<{ mode: SpoolMode; open: (owner: SpoolOwner, from: ResumeToken) => Promise<EventSpool> }>;
  /** See Copy; asked for in a re-copy only. */
  leftovers: ((ns: Namespace, at: bigint) => AsyncIterable<readonly Uint8Array[]>) | undefined;
  wish: CaptureWish;
  clock: Clock;
  logger: Logger;
  vitals: Vitals;
}>;

/** The source answers an empty reply after this long, ms: how often an idle position moves. */
const WAIT_MS = 100;
const REPORT_MS = 10_000;
const LAG_MS = 1000;

/**
 * ferry's own capture: first a copy in ranges, then the change stream from the position noted before the copy, so that nothing
 * between them is lost. Its position moves when what lies before it is settled downstream, never earlier.
 */
export class OwnCapture {
  readonly #deps: OwnCaptureDeps;
  readonly #unapplied: Unapplied;
  readonly #position: SavedPosition;
  #token: ResumeToken;
  /** A batch is being written to the log: a part of it may be there already. */
  #isTaking = false;
  #progress: () => Pick<SpoolLook, "copied" | "remaining"> = () => ({ copied: 0, remaining: 0 });
  #events = 0;
  /** Since this process works on it; undefined where it began after it. */
  #copied: Copy | undefined;
  #isStreaming = false;
  readonly #there: SourceClock;
  /** When its lease was renewed, ms. */
  #renewedAt: number;

  constructor(deps: OwnCaptureDeps) {
    this.#deps = deps;
    this.#there = new SourceClock(() => deps.source.now(), deps.clock);
    this.#renewedAt = deps.clock.now();
    this.#token = deps.record.token;
    this.#unapplied = new Unapplied(deps.clock, deps.record.token);
    this.#position = new SavedPosition(
      {
        store: deps.store,
        output: deps.output,
        wish: deps.wish,
        unapplied: this.#unapplied,
        clock: deps.clock,
        onRetry: tryingAgain(deps, "capture"),
      },
      deps.record.token,
    );
  }

  /**
   * Runs until `soft` aborts (what was read is settled and the position saved) or `hard` does.
   * @throws FERRY_SOURCE_HISTORY_LOST, FERRY_FENCED, FERRY_MONGO_*
   */
  async run(soft: AbortSignal, hard: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(hard);
    const ending = new AbortController();
    const ended = AbortSignal.any([ending.signal, tasks.signal]);
    const stop = AbortSignal.any([soft, tasks.signal]);
    tasks.run(() => this.#renew(ended));
    tasks.run(async () => {
      try {
        await this.#capture(tasks, stop, ended);
      } finally {
        ending.abort();
      }
    });
    await tasks.settled();
  }

  async #capture(tasks: TaskGroup, stop: AbortSignal, ended: AbortSignal): Promise<void> {
    const { source, store, record, spool: spools, clock, logger, vitals } = this.#deps;
    const { id: capture, generation, start, epoch, phase } = record;
    const owner = { capture, generation, start, epoch: Number(epoch) };
    await using spool = await spools.open(owner, this.#token);
    using _part = vitals.part("capture", () => this.#obstacle(stop));
    using _shown = vitals.show(() => captureSamples(this.#facts(spool)));
    // While something is spooled or played, it is the spool's end from which the source must be readable.
    const token = (): ResumeToken => (spool.isEmpty ? this.#token : spool.newest);
    tasks.run(() => watchOplog({ source, store, token, clock, logger, vitals }, ended));
    tasks.run(() => watchSpool({ spool, store, record, clock }, ended, tasks.signal));
    const ahead = this.#readAhead(spool);
    if (phase !== "stream" || !spool.isEmpty) ahead.start(tasks, stop);
    const copied = phase === "stream" || (await this.#copy(stop, tasks.signal));
    if (copied) await this.#stream(spool, ahead, stop, tasks.signal);
    await ahead.end();
  }

  #obstacle(stop: AbortSignal): string | undefined {
    const { clock, leaseMs } = this.#deps;
    if (stop.aborted) return "stopping";
    const silentMs = clock.now() - this.#renewedAt;
    return silentMs > leaseMs ? `its lease was not renewed for ${Math.round(silentMs / 1000)} s` : undefined;
  }

  #facts(spool: EventSpool): CaptureFacts {
    const { record, source } = this.#deps;
    return {
      phase: this.#isStreaming ? "stream" : "copy",
      lagMs: this.#isStreaming ? this.#unapplied.age(this.#there.known) : undefined,
      copy: this.#copied?.progress,
      estimate: record.estimate === undefined ? undefined : Number(record.estimate),
      throttle: this.#isStreaming ? undefined : source.ranges.pace?.state,
      spool,
    };
  }

  #readAhead(spool: EventSpool): ReadAhead {
    const { source, record, clock, logger } = this.#deps;
    return new ReadAhead({
      spool,
      mode: this.#deps.spool.mode,
      source,
      start: record.start,
      progress: () => this.#progress(),
      clock,
      logger,
      onRetry: tryingAgain(this.#deps, "capture"),
    });
  }

  #retrying(what: string, signal: AbortSignal): RetryOptions {
    const { clock } = this.#deps;
    return { what, clock, signal, onRetry: tryingAgain(this.#deps, "capture") };
  }

  async #renew(ended: AbortSignal): Promise<void> {
    const { store, clock, leaseMs } = this.#deps;
    await every(leaseMs / 4, { clock, ended, first: "later" }, async () => {
      await unlessAborted(
        retryForever(() => store.renew(), this.#retrying("renewing the lease", ended)),
        ended,
      );
      this.#renewedAt = clock.now();
    });
  }

  /** True when everything is copied; false when it was stopped before. */
  async #copy(stop: AbortSignal, hard: AbortSignal): Promise<boolean> {
    const { record, store, output, source, readers, leftovers, clock, logger } = this.#deps;
    for (const { name } of record.topics) await output.open(name);
    const copy = new Copy(await store.ranges(record), {
      source: source.ranges,
      store,
      output,
      at: record.startAt.toBigInt(),
      readers,
      leftovers: record.generation > 1 ? leftovers : undefined,
      clock,
      onRetry: tryingAgain(this.#deps, "capture"),
    });
    this.#copied = copy;
    const started = clock.now();
    const before = copy.documents;
    const estimate = Number(record.estimate ?? 0);
    this.#progress = () => ({ copied: copy.documents - before, remaining: Math.max(0, estimate - copy.documents) });
    {
      using _heap = heapForCopying();
      using _reports = saying(clock, () => {
        const throttle = source.ranges.pace?.state;
        const paced = throttle === undefined ? {} : { share: throttle.share };
        logger.info({ stage: "copy", count: copy.documents, ms: clock.now() - started, ...paced }, "copying");
      });
      await copy.run(stop, hard);
    }
    const count = copy.documents;
    if (!copy.isDone) {
      logger.info({ stage: "copy", count }, "copy stopped; its progress is saved, and it resumes from there");
      return false;
    }
    const ends = output.ends();
    await output.settledTo(ends, hard, true);
    await retryForever(
      () =>
        store.save({
          phase: "stream",
          token: record.start,
          topics: topicsOf(ends),
          streamingAt: new Date(clock.now()),
        }),
      this.#retrying("saving the end of the copy", hard),
    );
    const ms = clock.now() - started;
    logger.info(
      { stage: "copy", count: count - before, ms },
      "copy finished; the change stream continues from the noted start",
    );
    return true;
  }

  /** What was spooled, and then what the source has after it: the same replies, the same way. */
  async #stream(spool: EventSpool, ahead: ReadAhead, stop: AbortSignal, hard: AbortSignal): Promise<void> {
    const { scope, output, clock, logger } = this.#deps;
    this.#isStreaming = true;
    const router = new EventRouter({ scope, output, clock, logger });
    for (const { name } of this.#deps.record.topics) await output.open(name);
    await using tasks = new TaskGroup(hard);
    const read = new AbortController();
    const ended = AbortSignal.any([read.signal, tasks.signal]);
    tasks.run(() => this.#noteLag(ended));
    tasks.run(() => this.#position.saveNowAndThen(spool, ended, tasks.signal));
    using _reports = saying(clock, () => {
      const position = timeText(tokenTime(this.#position.token));
      logger.info({ stage: "stream", count: this.#events, position }, "events captured so far");
    });
    const take = (batch: EventBatch, isLive: boolean): Promise<void> =>
      this.#take(batch, isLive, router, spool, tasks.signal);
    const isOver = (): boolean => stop.aborted || tasks.signal.aborted;
    try {
      await this.#play(spool, ahead, take, isOver);
      if (!isOver()) await this.#follow(take, isOver, stop);
    } catch (error) {
      if (!stop.aborted || hard.aborted) throw error; // whatever was interrupted by the stop is no failure
    } finally {
      read.abort();
    }
    await tasks.settled();
    // Interrupted in the middle of a batch, the log may have records of it that the position is not behind.
    if (!this.#isTaking) this.#position.markLast(this.#token, spool);
    await this.#position.save(spool, hard, true);
  }

  /** Until nothing is left of the spool, and nothing more comes into it. */
  async #play(
    spool: EventSpool,
    ahead: ReadAhead,
    take: (batch: EventBatch, isLive: boolean) => Promise<void>,
    isOver: () => boolean,
  ): Promise<void> {
    if (spool.isEmpty) await ahead.end();
    if (spool.isEmpty) return;
    const { logger, clock } = this.#deps;
    const started = clock.now();
    logger.info({ stage: "stream", bytes: spool.bytes }, "applying the spool");
    while (!isOver()) {
      const batch = await spool.next();
      if (batch !== undefined) await take(batch, false);
      else if (ahead.hasEnded) break;
      else await ahead.end();
    }
    if (!isOver())
      logger.info(
        { stage: "stream", count: this.#events, ms: clock.now() - started },
        "the spool is applied; the change stream continues after its end",
      );
  }

  async #follow(
    take: (batch: EventBatch, isLive: boolean) => Promise<void>,
    isOver: () => boolean,
    stop: AbortSignal,
  ): Promise<void> {
    const { source, wish } = this.#deps;
    const { resting } = source;
    await using stream = source.changes(this.#token);
    let waiting = AbortSignal.any([stop, wish.draining]);
    while (!isOver()) {
      const waitMs = paceOf(wish, WAIT_MS);
      const reading = retryForever(() => stream.next(waitMs), this.#retrying("reading the change stream", waiting));
      let batch = await unlessAborted(reading, waiting);
      if (stop.aborted) break;
      if (batch === undefined) {
        // The server would say nothing before the end of its wait: it is asked once more, after a no-op.
        waiting = stop;
        await unlessAborted(resting.note(), stop);
        await stream.interrupt();
        batch = await reading.catch(() => undefined); // ended by the interruption, or with the reply that was on its way
        if (batch === undefined) continue;
      }
      await take(batch, true);
      await unlessAborted(resting.at(batch.token), stop);
    }
  }

  async #take(
    batch: EventBatch,
    isLive: boolean,
    router: EventRouter,
    spool: EventSpool,
    signal: AbortSignal,
  ): Promise<void> {
    const { logger, vitals } = this.#deps;
    if (batch.events.length > 0) faultPoint("after-events");
    this.#events += batch.events.length;
    this.#unapplied.took(batch.events, batch.token, this.#position.isMarked, isLive);
    this.#isTaking = true;
    await router.append(batch.events, signal);
    this.#isTaking = false;
    vitals.count("ferry_captured_events_total", {}, batch.events.length);
    vitals.count("ferry_captured_bytes_total", {}, batch.bytes);
    this.#token = batch.token;
    this.#position.mark(batch.token, spool);
    if (batch.cutDown)
      logger.warn({ stage: "stream" }, "an event of more than 16 MB was read by its key; its document was looked up");
    if (batch.invalidated)
      logger.warn({ stage: "stream" }, "the watched database was dropped; the stream continues after the drop");
  }

  async #noteLag(ended: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    await every(LAG_MS, { clock, ended, first: "later" }, async () => {
      await unlessAborted(
        retryForever(
          () => store.noteLag(this.#unapplied.age(this.#there.now())),
          this.#retrying("noting the lag", ended),
        ),
        ended,
      );
    });
  }
}

/** Says something now and then until it is disposed of. */
const saying = (clock: Clock, say: () => void): Disposable => {
  const ending = new AbortController();
  void every(REPORT_MS, { clock, ended: ending.signal, first: "later" }, async () => say());
  return { [Symbol.dispose]: () => ending.abort() };
};
