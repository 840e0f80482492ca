import { Long } from "bson";
import { unlessAborted } from "#flow/abort.ts";
import type { Clock } from "#flow/clock.ts";
import { faultPoint } from "#flow/fault.ts";
import { type RetryOptions, retry } from "#flow/retry.ts";
import { TaskGroup } from "#flow/taskGroup.ts";
import type { Namespace } from "#flow/types.ts";
import type { MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import { tryingAgain } from "#observe/tryingAgain.ts";
import type { CaptureRecord, CaptureStore } from "./captureStore.ts";
import { Copy } from "./copy.ts";
import type { CopySource } from "./copySource.ts";
import { EventRouter } from "./eventRouter.ts";
import { watchOplog } from "./oplogWatch.ts";
import type { CaptureOutput } from "./output.ts";
import { type ResumeToken, secondsOf, tokenTime } from "./resumeToken.ts";
import type { Scope } from "./scope.ts";
import { SourceStream, type StreamFeatures } from "./sourceStream.ts";

export type OwnCaptureDeps = Readonly<{
  source: MongoClient;
  /** Where the copy reads. */
  copySource: CopySource;
  features: StreamFeatures;
  store: CaptureStore;
  record: CaptureRecord;
  scope: Scope;
  output: CaptureOutput;
  /** Ranges that are read at once. */
  readers: number;
  leaseMs: number;
  /** See Copy; asked for in a re-copy only. */
  leftovers: ((ns: Namespace) => AsyncIterable<readonly Uint8Array[]>) | undefined;
  clock: Clock;
  logger: Logger;
}>;

/** The source answers an empty reply after this long, ms: how often an idle position moves. */
const WAIT_MS = 500;
const SAVE_MS = 250;
const REPORT_MS = 10_000;

/** A position, and where the topics ended when it was reached. */
type Mark = Readonly<{ token: ResumeToken; ends: ReadonlyMap<string, number> }>;

/**
 * ferry's own capture: first a copy in ranges, then the change stream from the position noted before the copy, so that nothing
 * between them is lost. Its position moves when what lies before it is settled downstream, never earlier.
 */
export class OwnCapture {
  readonly #deps: OwnCaptureDeps;
  #token: ResumeToken;
  /** The newest position that could be saved next; made anew when the last one was. */
  #mark: Mark | undefined;
  #saved: string;
  #events = 0;

  constructor(deps: OwnCaptureDeps) {
    this.#deps = deps;
    this.#token = deps.record.token;
    this.#saved = deps.record.token._data;
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
    tasks.run(() => watchOplog({ ...this.#deps, token: () => this.#token }, ended));
    tasks.run(async () => {
      try {
        const copied = this.#deps.record.phase === "stream" || (await this.#copy(stop, tasks.signal));
        if (copied) await this.#stream(stop, tasks.signal);
      } finally {
        ending.abort();
      }
    });
    await tasks.settled();
  }

  #retrying(what: string, signal: AbortSignal): RetryOptions {
    const { clock } = this.#deps;
    return {
      what,
      clock,
      signal,
      giveUpAfterMs: Number.POSITIVE_INFINITY,
      onRetry: tryingAgain(this.#deps.logger, "capture"),
    };
  }

  async #renew(ended: AbortSignal): Promise<void> {
    const { store, clock, leaseMs } = this.#deps;
    while (!ended.aborted) {
      await clock.sleep(leaseMs / 4, ended).catch(() => undefined); // woken by the end
      if (!ended.aborted)
        await unlessAborted(
          retry(() => store.renew(), this.#retrying("renewing the lease", ended)),
          ended,
        );
    }
  }

  /** True when everything is copied; false when it was stopped before. */
  async #copy(stop: AbortSignal, hard: AbortSignal): Promise<boolean> {
    const { record, store, output, copySource, readers, leftovers, clock, logger } = this.#deps;
    for (const { name } of record.topics) await output.open(name);
    const copy = new Copy(await store.ranges(record.generation), {
      source: copySource,
      store,
      output,
      at: record.startAt.toBigInt(),
      readers,
      leftovers: record.generation > 1 ? leftovers : undefined,
      clock,
      onRetry: tryingAgain(this.#deps.logger, "capture"),
    });
    const started = clock.now();
    const before = copy.documents;
    {
      using _reports = saying(() => {
        const paced = copySource.pace === undefined ? {} : { share: copySource.pace.state.share };
        logger.info({ stage: "copy", count: copy.documents, ms: clock.now() - started, ...paced }, "copying");
      });
      await copy.run(stop, hard);
    }
    const count = copy.documents;
    if (!copy.isDone) {
      logger.info({ stage: "copy", count }, "copy stopped; its progress is saved, and it goes on from there");
      return false;
    }
    const ends = output.ends();
    await output.settledTo(ends, hard);
    await retry(
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
      "copy finished; the change stream goes on from the noted start",
    );
    return true;
  }

  async #stream(stop: AbortSignal, hard: AbortSignal): Promise<void> {
    const { source, scope, features, output, clock, logger } = this.#deps;
    const router = new EventRouter({ scope, output, clock, logger });
    for (const { name } of this.#deps.record.topics) await output.open(name);
    await using tasks = new TaskGroup(hard);
    const read = new AbortController();
    tasks.run(() => this.#saveNowAndThen(AbortSignal.any([read.signal, tasks.signal]), tasks.signal));
    await using stream = new SourceStream(
      { client: source, watch: scope.watch, match: scope.match, features },
      this.#token,
    );
    using _reports = saying(() => {
      const position = new Date(secondsOf(tokenTime(this.#token)) * 1000).toISOString();
      logger.info({ stage: "stream", count: this.#events, position }, "events captured so far");
    });
    try {
      while (!stop.aborted && !tasks.signal.aborted) {
        const batch = await unlessAborted(
          retry(() => stream.next(WAIT_MS), this.#retrying("reading the change stream", stop)),
          stop,
        );
        if (batch === undefined) break;
        if (batch.events.length > 0) faultPoint("after-events");
        this.#events += batch.events.length;
        await router.append(batch.events, tasks.signal);
        this.#token = batch.token;
        if (this.#mark === undefined && batch.token._data !== this.#saved)
          this.#mark = { token: batch.token, ends: output.ends() };
        if (batch.cutDown)
          logger.warn(
            { stage: "stream" },
            "an event of more than 16 MB came by its key; its document was looked up apart",
          );
        if (batch.invalidated)
          logger.warn({ stage: "stream" }, "the watched database was dropped; watching goes on behind it");
      }
    } catch (error) {
      if (!stop.aborted || hard.aborted) throw error; // whatever was interrupted by the stop is no failure
    } finally {
      read.abort();
    }
    await tasks.settled();
    this.#mark = { token: this.#token, ends: output.ends() };
    await this.#save(hard);
  }

  async #saveNowAndThen(ended: AbortSignal, hard: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await this.#deps.clock.sleep(SAVE_MS, ended).catch(() => undefined); // woken by the end
      if (!ended.aborted) await this.#save(hard);
    }
  }

  async #save(hard: AbortSignal): Promise<void> {
    const { store, output } = this.#deps;
    const mark = this.#mark;
    if (mark === undefined || mark.token._data === this.#saved) return;
    await output.settledTo(mark.ends, hard);
    await retry(
      () => store.save({ token: mark.token, topics: topicsOf(mark.ends) }),
      this.#retrying("saving the position", hard),
    );
    this.#saved = mark.token._data;
    this.#mark = undefined;
  }
}

const topicsOf = (ends: ReadonlyMap<string, number>): CaptureRecord["topics"] =>
  [...ends].map(([name, next]) => ({ name, next: Long.fromNumber(next) }));

/** Says something now and then until it is disposed of. */
const saying = (say: () => void): Disposable => {
  const timer = setInterval(say, REPORT_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
};
