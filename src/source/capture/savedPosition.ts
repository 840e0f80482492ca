import { Long } from "bson";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { CaptureBook } from "./captureBook.ts";
import type { CaptureRecord } from "./captureStore.ts";
import { type CaptureWish, paceOf } from "./captureWish.ts";
import type { Unapplied } from "./unapplied.ts";

const SAVE_MS = 250;

export type SavedPositionDeps = Readonly<{
  store: Pick<CaptureBook, "save">;
  output: CaptureOutput;
  wish: CaptureWish;
  unapplied: Unapplied;
  clock: Clock;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/** A position, and where the topics ended when it was reached. */
type SavePoint = Readonly<{
  token: ResumeToken;
  ends: ReadonlyMap<string, number>;
  /** Segments of the spool that lie before it. */
  played: number;
}>;

/**
 * The position from which a capture's next process resumes. A point is marked while the stream goes on; it is saved when what lies
 * before it is settled downstream, never earlier, and only then the next one is marked.
 */
export class SavedPosition {
  readonly #deps: SavedPositionDeps;
  /** Everything before it is durable downstream. */
  #saved: ResumeToken;
  #next: SavePoint | undefined;

  /** @param saved where the capture's record has it */
  constructor(deps: SavedPositionDeps, saved: ResumeToken) {
    this.#deps = deps;
    this.#saved = saved;
  }

  /** Everything before it is durable downstream. */
  get token(): ResumeToken {
    return this.#saved;
  }

  /** Is a point marked that is not saved yet? */
  get isMarked(): boolean {
    return this.#next !== undefined;
  }

  /** Everything before `token` is in the log: the point to save next, unless there is one. */
  mark(token: ResumeToken, { played }: Pick<EventSpool, "played">): void {
    if (this.#next === undefined && token._data !== this.#saved._data) this.markLast(token, { played });
  }

  /** The same, instead of one that is marked: nothing comes after it. */
  markLast(token: ResumeToken, { played }: Pick<EventSpool, "played">): void {
    this.#next = { token, ends: this.#deps.output.ends(), played };
  }

  /** Until `ended`; sooner while a drain waits for it. @throws FERRY_FENCED, FERRY_MONGO_*, the signal's reason */
  async saveNowAndThen(spool: EventSpool, ended: AbortSignal, hard: AbortSignal): Promise<void> {
    const { clock, wish } = this.#deps;
    const patient = AbortSignal.any([ended, wish.draining]);
    const woken = (): AbortSignal => (wish.draining.aborted ? ended : patient);
    await every(
      () => paceOf(wish, SAVE_MS),
      { clock, ended, first: "later", woken },
      () => this.save(spool, hard),
    );
  }

  /**
   * Saves the marked point, if there is one, as soon as it is settled, and removes what the spool has played before it.
   * @param soon whether to hurry what is not settled. @throws FERRY_FENCED, FERRY_MONGO_*, the signal's reason
   */
  async save(spool: EventSpool, hard: AbortSignal, soon = this.#deps.wish.draining.aborted): Promise<void> {
    const { store, output, wish, unapplied, clock, onRetry } = this.#deps;
    const next = this.#next;
    if (next === undefined || next.token._data === this.#saved._data) return;
    await output.settledTo(next.ends, hard, soon);
    const save = (): Promise<void> => store.save({ token: next.token, topics: topicsOf(next.ends) });
    await retryForever(save, { what: "saving the position", clock, signal: hard, onRetry });
    this.#saved = next.token;
    this.#next = undefined;
    unapplied.saved();
    wish.onSaved();
    await spool.release(next.played);
  }
}

/** Ends of topics as the capture's record has them. */
export const topicsOf = (ends: ReadonlyMap<string, number>): CaptureRecord["topics"] =>
  [...ends].map(([name, next]) => ({ name, next: Long.fromNumber(next) }));
