import type { Timestamp } from "bson";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { isCursorGone, isHistoryLost } from "#io/mongo/serverCodes.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { ForeignWrites, MarkBook, WatchStart } from "./foreignWrites.ts";
import { KeyFilter } from "./keyFilter.ts";

export type TargetWatchDeps = Readonly<{
  /** Opens the stream of what others write. @throws FERRY_MONGO_* (`isHistoryLost` where its past no longer reaches back) */
  stream: (from: WatchStart) => Promise<ForeignWrites>;
  route: string;
  marks: MarkBook;
  /** Where to begin: what was saved last, or the time before ferry's first write. */
  start: WatchStart;
  /** Saves how far every write is noted. Called about once a second. */
  save: (token: ResumeToken) => Promise<void>;
  /** Room to remember keys in; by default enough for millions. */
  filterBits?: number;
  clock: Clock;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/** How long a poll waits for a write, ms: while a lane waits for it, and otherwise. */
const URGENT_MS = 1;
const QUIET_MS = 20;
const SAVE_MS = 1000;

/**
 * One worker's eye on the other writers of a target collection. It notes each document that they write before it shows the
 * time up to which nothing is missing; a transaction that reads as of that time therefore knows of every earlier write, and
 * the server refuses it (WriteConflict) where a later one touched the same document.
 */
export class TargetWatch implements AsyncDisposable {
  readonly #deps: TargetWatchDeps;
  readonly #filter: KeyFilter;
  readonly #stop = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #token: ResumeToken | undefined;
  #upTo: Timestamp | undefined;
  /** Polls sent, and the newest one that has come back with a time. */
  #sent = 0;
  #seen = 0;
  #waiting: { poll: number; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #failure: unknown;
  #savedAt = 0;

  private constructor(deps: TargetWatchDeps) {
    this.#deps = deps;
    this.#filter = new KeyFilter(deps.filterBits);
  }

  /** A watch that knows all earlier marks of the route. @throws FERRY_TARGET_HISTORY, FERRY_MONGO_* */
  static async open(deps: TargetWatchDeps): Promise<TargetWatch> {
    const watch = new TargetWatch(deps);
    for await (const key of deps.marks.keys(deps.route)) watch.#filter.add(key);
    const stream = await watch.#open(deps.start);
    watch.#work = watch.#run(stream).catch((error) => watch.#fail(error));
    return watch;
  }

  async #open(from: WatchStart): Promise<ForeignWrites> {
    const { stream, route } = this.#deps;
    try {
      return await stream(from);
    } catch (error) {
      if (isFerry(error) && isHistoryLost(error))
        throw new FerryError("FERRY_TARGET_HISTORY", `${route}: ${error.detail}`, { cause: error });
      throw error;
    }
  }

  /** Another poll's number: one that is sent after this moment. */
  mark(): number {
    return this.#sent + 1;
  }

  /** A time up to which every foreign write is known, not older than poll `poll`. @throws what ended the watch */
  async upTo(poll: number): Promise<Timestamp> {
    while (this.#upTo === undefined || this.#seen < poll) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve, reject) => this.#waiting.push({ poll, resolve, reject }));
    }
    return this.#upTo;
  }

  /** May another client have written the document of this key? Never false if it has, up to `upTo`. */
  mayHaveTouched(documentKey: Uint8Array): boolean {
    return this.#filter.mayHave(documentKey);
  }

  async #run(first: ForeignWrites): Promise<void> {
    const { clock, onRetry } = this.#deps;
    const { signal } = this.#stop;
    let stream: ForeignWrites | undefined = first;
    const poll = async (): Promise<void> => {
      try {
        stream ??= await this.#open(this.#token === undefined ? this.#deps.start : { after: this.#token });
        if (!(await this.#poll(stream))) return;
        await stream[Symbol.asyncDispose]();
        stream = undefined;
      } catch (error) {
        await stream?.[Symbol.asyncDispose]();
        stream = undefined;
        if (isFerry(error) && isCursorGone(error))
          throw new FerryError("FERRY_MONGO_TRANSIENT", error.detail, { cause: error });
        throw error;
      }
    };
    while (!signal.aborted) await retryForever(poll, { what: "watching the target", clock, signal, onRetry });
    await (stream as ForeignWrites | undefined)?.[Symbol.asyncDispose]();
  }

  /** True if the stream ended and must be opened again. */
  async #poll(stream: ForeignWrites): Promise<boolean> {
    const { marks, route, save, clock } = this.#deps;
    const poll = ++this.#sent;
    const { writes, upTo, token, ended } = await stream.next(this.#waiting.length > 0 ? URGENT_MS : QUIET_MS);
    await marks.note(route, writes);
    for (const { documentKey } of writes) this.#filter.add(documentKey);
    this.#token = token;
    if (upTo !== undefined) {
      this.#upTo = upTo;
      this.#seen = poll;
      const ready = this.#waiting.filter((waiting) => waiting.poll <= poll);
      if (ready.length > 0) this.#waiting = this.#waiting.filter((waiting) => waiting.poll > poll);
      for (const { resolve } of ready) resolve();
    }
    if (clock.now() - this.#savedAt >= SAVE_MS) {
      this.#savedAt = clock.now();
      await save(token);
    }
    return ended;
  }

  #fail(error: unknown): void {
    this.#failure = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new FerryError("FERRY_STOPPED", "the target is watched no longer"));
    await this.#work;
    this.#fail(this.#stop.signal.reason);
  }
}
