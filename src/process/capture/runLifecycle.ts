import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { type AwaitedServer, throughOutages } from "#io/mongo/outages.ts";
import { stateOf } from "#source/capture/captureLifecycle.ts";
import type { CaptureRecord, CaptureStore } from "#source/capture/captureStore.ts";
import { captureSamples } from "#source/capture/captureVitals.ts";
import type { CaptureWish } from "#source/capture/captureWish.ts";
import type { CopyLimits } from "#source/copy/sourcePace.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import type { Failure } from "#structure/build/build.ts";

export type LifecycleDeps = Readonly<{
  store: CaptureStore;
  leaseMs: number;
  /** What a session depends on. */
  servers: readonly AwaitedServer[];
  /** What a pause leaves alone. */
  writesTo: "the target" | "Kafka";
  /** Tells the age of the oldest change that is not on its way while nothing moves, ms. */
  standingLag: (record: CaptureRecord) => (signal: AbortSignal) => Promise<number>;
  /** What is known to be missing of a drained run; undefined where it may end. */
  lastLook: (record: CaptureRecord) => Promise<FerryError | undefined>;
  clock: Clock;
  logger: Logger;
  vitals: Vitals;
  soft: AbortSignal;
  hard: AbortSignal;
}>;

/** From a start, or the end of a pause, to the next pause, the end of draining or the stop. */
export type Session = Readonly<{
  record: CaptureRecord;
  /** An earlier session has begun the copy. */
  goesOn: boolean;
  ending: AbortSignal;
  wish: CaptureWish;
}>;

/** How often an operator's wish is looked for, ms. */
const LOOK_MS = 100;
/** How often the lag of a paused run is looked at, ms. */
const LAG_MS = 1000;

/** Has the saved position passed the cluster time that the run is to be drained to? At the very time there may be more. */
export const isDrained = ({ phase, token, lifecycle }: Pick<CaptureRecord, "phase" | "token" | "lifecycle">): boolean =>
  phase === "stream" && lifecycle?.drainTo !== undefined && tokenTime(token) > lifecycle.drainTo.toBigInt();

/** When the record is looked at besides now and then: a run that drains may be through with each position that it saves. */
class Looks {
  readonly #draining = new AbortController();
  #soon = new AbortController();
  #limits: CopyLimits;
  #follow: (limits: CopyLimits) => void = () => undefined;

  constructor({ lifecycle }: Pick<CaptureRecord, "lifecycle">) {
    this.#limits = lifecycle?.limits ?? {};
  }

  readonly wish: CaptureWish = {
    draining: this.#draining.signal,
    onSaved: () => {
      if (this.#draining.signal.aborted) this.#soon.abort();
    },
    onLimits: (follow) => {
      this.#follow = follow;
      follow(this.#limits);
    },
  };

  limit(limits: CopyLimits): void {
    this.#limits = limits;
    this.#follow(limits);
  }

  /** Aborts when the record is to be looked at, or with `ended`. */
  or(ended: AbortSignal): AbortSignal {
    return this.#draining.signal.aborted ? AbortSignal.any([ended, this.#soon.signal]) : ended;
  }

  /** The record is read after this: what is saved from now on asks for one more look. */
  begin(): void {
    if (this.#soon.signal.aborted) this.#soon = new AbortController();
  }

  get isDraining(): boolean {
    return this.#draining.signal.aborted;
  }

  drain(): void {
    this.#draining.abort();
  }
}

/** @throws FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING if the record cannot be resumed */
export const requireUnfinished = ({ lifecycle = {} }: CaptureRecord, recopy: boolean): void => {
  const { finalizedAt, drainedAt } = lifecycle;
  if (finalizedAt !== undefined)
    throw new FerryError("FERRY_RUN_FINALIZED", `this target's run was finalized at ${finalizedAt.toISOString()}`);
  if (recopy && drainedAt !== undefined)
    throw new FerryError("FERRY_RUN_FINALIZING", "nothing can be copied again: the run is being finalized");
};

/**
 * Follows what operators want of a run: they write it into its record, from any shell, and the process that owns the run looks
 * there. So it holds as well for a run that is started again after a kill.
 */
export class RunLifecycle {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * Works whenever the run is wanted to run, each time with the record as it is then, until everything is drained or the run
   * is stopped. A session ends by its signal when what it has read is on the target and its position is saved.
   * @param begun a former process has begun the copy
   * @returns is everything drained, for the target to be finalized?
   */
  async run(begun: boolean, work: (session: Session) => Promise<void>): Promise<boolean> {
    const { store, clock, soft } = this.#deps;
    for (let goesOn = begun; !soft.aborted; goesOn = true) {
      const record = await this.#whenWanted();
      if (record === undefined) break;
      if (stateOf(record) === "finalizing") return true;
      await this.#session(goesOn, record, work);
      const drained = await this.#read();
      if (soft.aborted || !isDrained(drained) || (await this.#refused(drained))) continue;
      await retryForever(() => store.follow({ drainedAt: new Date(clock.now()) }), this.#retrying("noting the end"));
      faultPoint("drained");
    }
    return false;
  }

  /** One session. Where a server goes away under it, the next one begins when it is back, from the record as it is then. */
  async #session(goesOn: boolean, first: CaptureRecord, work: (session: Session) => Promise<void>): Promise<void> {
    const { servers, clock, logger, soft, hard } = this.#deps;
    const signal = AbortSignal.any([soft, hard]);
    let session: Pick<Session, "record" | "goesOn"> | undefined;
    try {
      await throughOutages("carrying", servers, { clock, logger, signal }, async () => {
        session = session === undefined ? { record: first, goesOn } : { record: await this.#read(), goesOn: true };
        const { record, goesOn: isLater } = session;
        await this.#follow(session.record, (ending, wish) => work({ record, goesOn: isLater, ending, wish }));
      });
    } catch (error) {
      if (!soft.aborted || error !== soft.reason) throw error; // stopped while it waited
    }
  }

  /** Drained, and checked again: is something known to be missing? Then the caller of finalize gets it, and the run continues. */
  async #refused(record: CaptureRecord): Promise<boolean> {
    const { store, clock, logger, lastLook } = this.#deps;
    let missing: FerryError | undefined;
    await this.owning(async () => {
      missing = await retryForever(() => lastLook(record), this.#retrying("looking for what is missing"));
    });
    if (missing === undefined) return false;
    const { code, detail } = missing;
    const refused = { code, detail, at: new Date(clock.now()) };
    await retryForever(() => store.refuse(refused), this.#retrying("noting why the run cannot end"));
    logger.warn({ stage: "finalize", code, hint: missing.entry.hint }, `not finalized; the run continues: ${detail}`);
    return true;
  }

  /** One session, until an operator wants something else. */
  async #follow(
    record: CaptureRecord,
    session: (ending: AbortSignal, wish: CaptureWish) => Promise<void>,
  ): Promise<void> {
    const { soft, hard } = this.#deps;
    const ending = new AbortController();
    const turned = new AbortController();
    const looks = new Looks(record);
    await using tasks = new TaskGroup(hard);
    tasks.run(() => this.#untilTurned(turned, looks, AbortSignal.any([ending.signal, soft, tasks.signal])));
    tasks.run(async () => {
      try {
        await session(AbortSignal.any([soft, turned.signal]), looks.wish);
      } finally {
        ending.abort();
      }
    });
    await tasks.settled();
  }

  async #untilTurned(turned: AbortController, looks: Looks, ended: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    let told = false;
    const over = AbortSignal.any([ended, turned.signal]);
    const woken = (): AbortSignal => looks.or(over); // by a saved position as well
    await every(LOOK_MS, { clock, ended: over, first: "later", woken }, async () => {
      looks.begin();
      const record = await this.#read();
      const state = stateOf(record);
      looks.limit(record.lifecycle?.limits ?? {});
      if (state === "draining" || record.lifecycle?.hurry === true) looks.drain();
      else if (looks.isDraining)
        turned.abort(new FerryError("FERRY_STOPPED", "no cutover any more: back to the usual pace"));
      if (state === "draining" && !told) logger.info({ stage: "finalize" }, "finalize requested: draining first");
      told ||= state === "draining";
      if (state === "pausing" || state === "paused" || isDrained(record))
        turned.abort(new FerryError("FERRY_STOPPED", `requested by an operator: ${state}`));
    });
  }

  /** The record as soon as no pause is requested; undefined if the run is stopped before. */
  async #whenWanted(): Promise<CaptureRecord | undefined> {
    const { store, clock, logger, soft, writesTo } = this.#deps;
    const isPaused = (record: CaptureRecord): boolean => ["pausing", "paused"].includes(stateOf(record));
    let record = await this.#read();
    if (!isPaused(record)) return record;
    await retryForever(() => store.follow({ pausedAt: new Date(clock.now()) }), this.#retrying("noting the pause"));
    logger.info({ stage: "paused" }, `paused: nothing is written to ${writesTo} until \`ferry resume\``);
    await this.owning(async () => {
      const ending = new AbortController();
      const ended = AbortSignal.any([ending.signal, soft]);
      const noting = this.#noteStanding(record, ended);
      try {
        await every(LOOK_MS, { clock, ended, first: "later" }, async () => {
          record = await this.#read();
          if (!isPaused(record)) ending.abort();
        });
      } finally {
        ending.abort();
        await unlessAborted(noting, ending.signal);
      }
    });
    if (isPaused(record)) return undefined; // stopped, and paused when it is started again
    await retryForever(() => store.follow({ pausedAt: null }), this.#retrying("noting the end of the pause"));
    logger.info({ stage: "paused" }, "resumed");
    return record;
  }

  /** The source moves on during a pause: for status and metrics only, nothing depends on it. */
  async #noteStanding(record: CaptureRecord, ended: AbortSignal): Promise<void> {
    const { store, clock, vitals, standingLag } = this.#deps;
    const lag = standingLag(record);
    let lagMs: number | undefined;
    using _part = vitals.part("capture", () => "paused");
    using _shown = vitals.show(() => captureSamples({ phase: "paused", lagMs }));
    await every(LAG_MS, { clock, ended, first: "now" }, async () => {
      try {
        lagMs = await lag(ended);
        await store.noteLag(lagMs);
      } catch (error) {
        if (!isFerry(error) && !ended.aborted) throw error;
      }
    });
  }

  /** Keeps the lease while something is done that does not capture. @throws FERRY_FENCED, and what `work` throws */
  async owning(work: () => Promise<void>): Promise<void> {
    const { store, clock, leaseMs, hard } = this.#deps;
    const ending = new AbortController();
    await using tasks = new TaskGroup(hard);
    const ended = AbortSignal.any([ending.signal, tasks.signal]);
    tasks.run(() =>
      every(leaseMs / 4, { clock, ended, first: "now" }, () =>
        retryForever(() => store.renew(), this.#retrying("renewing the lease")),
      ),
    );
    tasks.run(async () => {
      try {
        await work();
      } finally {
        ending.abort();
      }
    });
    await tasks.settled();
  }

  /** Restores deferred constraints and ends the run; what could not be restored is in its record. */
  async finalize(restore: () => Promise<readonly Failure[]>): Promise<void> {
    const { store, clock, logger } = this.#deps;
    logger.info({ stage: "finalize" }, "drained: restoring unique indexes, TTL, validators and caps");
    await this.owning(async () => {
      const { servers, hard: signal } = this.#deps;
      const failures = await throughOutages("restoring constraints", servers, { clock, logger, signal }, restore);
      const unrestored = failures.map(({ ns, index, reason }) => ({ ns, index, reason }));
      faultPoint("before-finalized");
      await retryForever(
        () => store.follow({ finalizedAt: new Date(clock.now()), unrestored }),
        this.#retrying("noting the end of the run"),
      );
      for (const { ns, reason } of unrestored)
        logger.warn({ stage: "finalize", ns, err: reason }, "could not be restored");
      logger.info({ stage: "finalize", count: unrestored.length }, "finalized: the run is over");
    });
  }

  async #read(): Promise<CaptureRecord> {
    const record = await retryForever(
      () => this.#deps.store.read(),
      this.#retrying("looking for what is wanted of the run"),
    );
    if (record === undefined) throw new FerryError("FERRY_FENCED", "the run's record was deleted");
    return record;
  }

  #retrying(what: string) {
    const { clock, hard } = this.#deps;
    return { what, clock, signal: hard, onRetry: tryingAgain(this.#deps, "capture") };
  }
}
