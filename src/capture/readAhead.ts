import { isFerry } from "#errors/ferryError.ts";
import { unlessAborted } from "#flow/abort.ts";
import type { Clock } from "#flow/clock.ts";
import { type RetryOptions, retry } from "#flow/retry.ts";
import type { TaskGroup } from "#flow/taskGroup.ts";
import type { MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import { oplogRoom } from "./oplogWatch.ts";
import type { ResumeToken } from "./resumeToken.ts";
import { SourceStream, type SourceStreamOptions } from "./sourceStream.ts";
import type { Spool } from "./spool.ts";
import { needsSpool, type SpoolLook, type SpoolMode } from "./spoolNeed.ts";

export type ReadAheadDeps = Readonly<{
  spool: Spool;
  mode: SpoolMode;
  stream: SourceStreamOptions;
  source: MongoClient;
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

/** Reads the change stream into the spool while the copy runs and while the spool is played, if it must. */
export class ReadAhead {
  readonly #deps: ReadAheadDeps;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();

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
    const { spool, logger } = this.#deps;
    try {
      if (!(await this.#isNeeded(ended))) return;
      logger.info({ stage: "capture" }, `the change stream is spooled to ${spool.folder} while the copy runs`);
      for (let isFirst = true; !ended.aborted; isFirst = false) {
        const bytes = await this.#readUntilFull(ended);
        if (bytes === 0) return;
        if (isFirst) this.#sayFull(`it holds ${spool.bytes} bytes`);
        await spool.room(bytes, ended);
      }
    } catch (error) {
      if (ended.aborted) return; // whatever was interrupted by the end is no failure
      if (isFerry(error) || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
      this.#sayFull((error as Error).message);
    } finally {
      await spool.finish();
    }
  }

  #sayFull(why: string): void {
    const { logger } = this.#deps;
    logger.warn(
      { stage: "capture", code: "FERRY_CAPTURE_SPOOL_FULL" },
      `reading ahead stops: ${why}; from here on only the oplog holds the changes`,
    );
  }

  /** Resolves with true as soon as it is needed, with false at the end. */
  async #isNeeded(ended: AbortSignal): Promise<boolean> {
    const { mode, spool, source, start, progress, clock } = this.#deps;
    if (mode === "never") return false;
    if (mode === "always" || !spool.isEmpty) return true;
    const began = clock.now();
    let first: SpoolLook | undefined;
    while (!ended.aborted) {
      // A source that is away is met by the copy, which says so.
      const oplog = await unlessAborted(
        oplogRoom(source, start).catch(() => undefined),
        ended,
      );
      const now: SpoolLook = { ms: clock.now() - began, oplog, ...progress() };
      first ??= now;
      if (!ended.aborted && needsSpool(first, now)) return true;
      await clock.sleep(LOOK_MS, ended).catch(() => undefined); // woken by the end
    }
    return false;
  }

  /** Resolves with the bytes of a reply that there was no room for, and 0 at the end. */
  async #readUntilFull(ended: AbortSignal): Promise<number> {
    const { spool, stream: options, clock, logger, onRetry } = this.#deps;
    await using stream = new SourceStream(options, spool.newest);
    const retrying = { what: "reading ahead", clock, signal: ended, giveUpAfterMs: Number.POSITIVE_INFINITY, onRetry };
    let keptAt = clock.now();
    while (!ended.aborted) {
      const batch = await unlessAborted(
        retry(() => stream.next(WAIT_MS), retrying),
        ended,
      );
      if (batch === undefined) break;
      const isIdle = batch.events.length === 0 && !batch.invalidated;
      const hasMoved = batch.token._data !== spool.newest._data;
      if (isIdle && !(hasMoved && clock.now() - keptAt >= IDLE_MS)) continue;
      const lacking = await spool.append(batch);
      if (lacking > 0) return lacking;
      keptAt = clock.now();
      logger.debug({ stage: "capture", count: batch.events.length, bytes: batch.bytes }, "spooled");
    }
    return 0;
  }
}
