import { isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Logger } from "#base/observe/log.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import { needsSpool, type SpoolLook, type SpoolMode } from "#source/spool/spoolNeed.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";
import type { CaptureSource } from "./captureSource.ts";

export type ReadAheadDeps = Readonly<{
  spool: EventSpool;
  mode: SpoolMode;
  source: CaptureSource;
  /** From where the source must be readable while nothing is spooled. */
  start: ResumeToken;
  /** How far the copy is: of this process, and what is left. */
  progress: () => Pick<SpoolLook, "copied" | "remaining">;
  clock: Clock;
  logger: Logger;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/** How often it is asked whether the copy may outlast the oplog, ms. */
const LOOK_MS = 5000;
/** The source answers an empty reply after this long, ms. */
const WAIT_MS = 1000;
/** A position without events is kept this often, ms: it only says from where the source is read on. */
const IDLE_MS = 5000;
/** A disk that was full is tried again after this long, ms. */
const AGAIN_MS = 5000;

/** Reads the change stream into the spool while the copy runs and while the spool is played, if it must. */
export class ReadAhead {
  readonly #deps: ReadAheadDeps;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #saidFull = false;

  constructor(deps: ReadAheadDeps) {
    this.#deps = deps;
  }

  /** Its failure is the group's. */
  start(tasks: TaskGroup, stop: AbortSignal): void {
    this.#running = this.#run(AbortSignal.any([stop, this.#ending.signal]));
    tasks.run(() => this.#running);
  }

  get hasEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Resolves when nothing more comes into the spool. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running.catch(() => undefined); // the group's
  }

  async #run(ended: AbortSignal): Promise<void> {
    const { spool, clock, logger } = this.#deps;
    try {
      if (!(await this.#isNeeded(ended))) return;
      logger.info({ stage: "capture" }, `the change stream is spooled to ${spool.folder} while the copy runs`);
      while (!ended.aborted) {
        const bytes = await this.#readUntilFull(ended);
        if (bytes === 0) return;
        this.#sayFull();
        if (bytes === undefined) await clock.sleep(AGAIN_MS, ended);
        else await spool.room(bytes, ended);
      }
    } catch (error) {
      if (!ended.aborted) throw error; // whatever was interrupted by the end is no failure
    } finally {
      await spool.finish();
    }
  }

  /** Once: while it is played, room comes and goes. */
  #sayFull(): void {
    const { logger, spool } = this.#deps;
    if (this.#saidFull) return;
    this.#saidFull = true;
    logger.warn(
      { stage: "capture", code: "FERRY_CAPTURE_SPOOL_FULL" },
      `reading ahead is paused: ${spool.full}; until there is room, only the oplog holds later changes`,
    );
  }

  /** Undefined where the file system refuses it. */
  async #keep(batch: EventBatch): Promise<number | undefined> {
    try {
      return await this.#deps.spool.append(batch);
    } catch (error) {
      if (isFerry(error) || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
      return undefined;
    }
  }

  /** Resolves with true as soon as it is needed, with false where it never is. @throws the signal's reason at the end */
  async #isNeeded(ended: AbortSignal): Promise<boolean> {
    const { mode, spool, source, start, progress, clock } = this.#deps;
    if (mode === "never") return false;
    if (mode === "always" || !spool.isEmpty) return true;
    const began = clock.now();
    let first: SpoolLook | undefined;
    return lookUntil(LOOK_MS, { clock, signal: ended }, async () => {
      // A source that is away is met by the copy, which says so.
      const oplog = await unlessAborted(
        source.room(start).catch(() => undefined),
        ended,
      );
      const now: SpoolLook = { ms: clock.now() - began, oplog, ...progress() };
      first ??= now;
      return !ended.aborted && needsSpool(first, now);
    });
  }

  /** Resolves with the bytes of a reply that there was no room for, undefined where the file system has none, and 0 at the end. */
  async #readUntilFull(ended: AbortSignal): Promise<number | undefined> {
    const { spool, source, clock, logger, onRetry } = this.#deps;
    await using stream = source.changes(spool.newest);
    const retrying = { what: "reading ahead", clock, signal: ended, onRetry };
    let keptAt = clock.now();
    while (!ended.aborted) {
      const batch = await unlessAborted(
        retryForever(() => stream.next(WAIT_MS), retrying),
        ended,
      );
      if (batch === undefined) break;
      const isIdle = batch.events.length === 0 && !batch.invalidated;
      const hasMoved = batch.token._data !== spool.newest._data;
      if (isIdle && !(hasMoved && clock.now() - keptAt >= IDLE_MS)) continue;
      const lacking = await this.#keep(batch);
      if (lacking !== 0) return lacking;
      keptAt = clock.now();
      logger.debug({ stage: "capture", count: batch.events.length, bytes: batch.bytes }, "spooled");
    }
    return 0;
  }
}
