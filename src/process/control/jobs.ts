import { isDeepStrictEqual } from "node:util";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import type { Author } from "#process/steer/auditLog.ts";

/** What takes longer than a request. */
export const ACTS = [
  "cutover.rehearse",
  "cutover",
  "cutover.abort",
  "rollback.rehearse",
  "rollback",
  "rollback.abort",
  "finalize",
] as const;
export type Act = (typeof ACTS)[number];

/** What is asked for, by whom, and of what: two that ask for the same are one. */
export type JobAsked = Readonly<{ act: Act; on: string; choice: unknown; by: Author }>;

/** How far it is. */
export type DeskJob = JobAsked & {
  readonly at: Date;
  /** Null while it is under way. */
  endedAt: Date | null;
  /** Why it did not succeed. */
  refused: FerryError | null;
  /** The state that its cutover entered last. */
  record: CutoverRecord | undefined;
};

type Underway = Readonly<{ job: DeskJob; stop: AbortController; shown: Promise<unknown>; ended: Promise<void> }>;

/** What a job does. @param shown is called as soon as there is something to answer with */
export type JobWork = (job: DeskJob, tools: Readonly<{ signal: AbortSignal; shown: () => void }>) => Promise<void>;

/** An answer waits so long for a job to have begun, ms; what comes later is in the next answer. */
const ANSWER_MS = 2000;

const late = (): Promise<void> =>
  new Promise((resolve) => AbortSignal.timeout(ANSWER_MS).addEventListener("abort", () => resolve(), { once: true }));

/** One job at a time, which goes on when the client has gone. Disposing of it waits for the one under way. */
export class Jobs implements AsyncDisposable {
  readonly #clock: Pick<Clock, "now">;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  #underway: Underway | undefined;
  #last: DeskJob | undefined;

  /** @param signal the operator's stop of the whole process: a cutover goes back where it still can */
  constructor({ clock, logger, signal }: Readonly<{ clock: Pick<Clock, "now">; logger: Logger; signal: AbortSignal }>) {
    this.#clock = clock;
    this.#logger = logger;
    this.#signal = signal;
  }

  /** The one under way, or the last one. */
  get last(): DeskJob | undefined {
    return this.#last;
  }

  /** The one under way. */
  get current(): DeskJob | undefined {
    return this.#underway?.job;
  }

  /**
   * Begins it, or joins the same one.
   * @throws FERRY_CUTOVER_ALIVE while another one is under way; what ends it before there is something to answer with
   */
  async ask(asked: JobAsked, work: JobWork): Promise<DeskJob> {
    const known = this.#underway;
    if (known !== undefined && !isSame(known.job, asked)) {
      const { act, on, by } = known.job;
      throw new FerryError("FERRY_CUTOVER_ALIVE", `${act} of ${on} is under way here, asked for by ${by.who}`);
    }
    const { job, shown, ended } = known ?? this.#begin(asked, work);
    await Promise.race([shown, ended, late()]);
    if (job.refused !== null) throw job.refused;
    return job;
  }

  /** Stops the one under way, and waits for what comes of it, as long as an answer may take. */
  async stop(why: FerryError): Promise<DeskJob | undefined> {
    const underway = this.#underway;
    underway?.stop.abort(why);
    if (underway !== undefined) await Promise.race([underway.ended, late()]);
    return underway?.job;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#underway?.ended;
  }

  #begin(asked: JobAsked, work: JobWork): Underway {
    const job: DeskJob = { ...asked, at: this.#now(), endedAt: null, refused: null, record: undefined };
    const stop = new AbortController();
    const { promise: shown, resolve } = Promise.withResolvers<void>();
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    const fields = { stage: "control" };
    const end = (error: unknown): void => {
      job.refused = isFerry(error) ? error : new FerryError("FERRY_BUG", "the log has the details", { cause: error });
      this.#logger.error({ ...fields, err: error }, `${asked.act} of ${asked.on} did not succeed`);
    };
    this.#logger.info(fields, `${asked.act} of ${asked.on}, asked for by ${asked.by.who}`);
    const ended = work(job, { signal, shown: resolve })
      .catch(end)
      .finally(() => {
        job.endedAt = this.#now();
        this.#underway = undefined;
      });
    this.#last = job;
    this.#underway = { job, stop, shown, ended };
    return this.#underway;
  }

  #now(): Date {
    return new Date(this.#clock.now());
  }
}

const isSame = (one: JobAsked, other: JobAsked): boolean =>
  one.act === other.act && one.on === other.on && isDeepStrictEqual(one.choice, other.choice);
