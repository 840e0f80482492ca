import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { formatNamespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import { heapForComparing } from "#source/copy/copyHeap.ts";
import type { ChangedBatch } from "./changedKeys.ts";
import { ChangeFeed } from "./changeFeed.ts";
import { judgedPair, type Pair } from "./pair.ts";
import { pairRecheck } from "./pairRecheck.ts";
import { clusterTimeOf } from "./reads.ts";
import type { Moment, Recheck } from "./recheck.ts";
import type { VerificationStore } from "./verificationStore.ts";

export type FollowDeps = Readonly<{
  store: VerificationStore;
  clock: Clock;
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
  graceMs: number;
  /** Everything up to this moment is verified, but for what is wrong and what is behind: about once a second. Ends where it answers true. */
  onProgress: (at: Moment, behind: ReadonlyMap<string, number>) => Promise<boolean>;
}>;

/** Why following ended: it was asked for, or collections went and came, so that these routes need a new pass. */
export type FollowEnd = Readonly<{ at: Moment; gone: ReadonlySet<string> }>;

/** Documents of each look, and concurrent looks. */
const LOOK = 1000;
const LOOKERS = 2;
/** More changed documents than these wait in memory for a look: the streams wait. */
const MOST_CHANGED = 100_000;
const PAUSE_MS = 50;
const SAVE_MS = 1000;
/** Saves between two looks at what is wrong. */
const WRONG_EVERY = 5;

/** `hasWrong`: something is written down as wrong, which may be taken back. */
type Followed = Readonly<{ pair: Pair; recheck: Recheck }> & { hasWrong: boolean };

const namespacesOf = (pairs: readonly Pair[], side: "source" | "target") => [
  ...new Map(pairs.map((pair) => [formatNamespace(pair[side].ns), pair[side].ns])).values(),
];

/**
 * Keeps what was verified current. Whatever is written on either side, by whomever, is looked at as soon as it should be on the
 * target. Moments are taken, as clusterTimes of both sides; when both streams have come so far, everything before the moment was seen,
 * and the oldest moment since which a document waits for its verdict is the one up to which all is verified.
 */
export class Follow {
  readonly #deps: FollowDeps;
  readonly #pairs: readonly Followed[];
  readonly #bySource: ReadonlyMap<string, readonly Followed[]>;
  readonly #byTarget: ReadonlyMap<string, readonly Followed[]>;
  readonly #gone = new Set<string>();
  /** Both sides' changes before it were seen. */
  #moment: Moment;
  #sourceUpTo: bigint;

  constructor(pairs: readonly Pair[], from: Moment, deps: FollowDeps) {
    this.#deps = deps;
    this.#moment = from;
    this.#sourceUpTo = from.source;
    this.#pairs = pairs.map((pair) => ({ pair, recheck: pairRecheck(judgedPair(pair), deps), hasWrong: true }));
    this.#bySource = Map.groupBy(this.#pairs, ({ pair }) => formatNamespace(pair.source.ns));
    this.#byTarget = Map.groupBy(this.#pairs, ({ pair }) => formatNamespace(pair.target.ns));
  }

  /** Runs until `onProgress` has enough, or a collection went. @throws FERRY_MONGO_* (ChangeStreamHistoryLost where a history is gone), the signal's reason */
  async run(): Promise<FollowEnd> {
    const [first] = this.#pairs;
    if (first === undefined) return { at: this.#moment, gone: this.#gone };
    const ended = new AbortController();
    using _heap = heapForComparing();
    await using tasks = new TaskGroup(AbortSignal.any([this.#deps.signal, ended.signal]));
    const { signal } = tasks;
    const source = this.#feed("source", (batch) => this.#sourceChanged(batch, signal), signal);
    const target = this.#feed("target", (batch) => this.#targetChanged(batch, signal), signal);
    const untilEnded = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!ended.signal.aborted) throw error;
      }
    };
    const works = [
      () => source.run(),
      () => target.run(),
      () => this.#takeMoments([source, target], [first.pair.source, first.pair.target], signal),
      () => this.#save(signal).then(() => ended.abort()),
      ...Array.from({ length: LOOKERS }, () => () => this.#look(signal)),
    ];
    for (const work of works) tasks.run(() => untilEnded(work));
    await tasks.settled();
    return { at: this.#verified, gone: this.#gone };
  }

  /** Everything before it is verified, but for what is known to be wrong. */
  get #verified(): Moment {
    return this.#pairs.reduce((oldest, { recheck }) => {
      const waits = recheck.oldest;
      return waits !== undefined && waits.source < oldest.source ? waits : oldest;
    }, this.#moment);
  }

  #feed(side: "source" | "target", take: (batch: ChangedBatch) => Promise<void>, signal: AbortSignal): ChangeFeed {
    const pairs = this.#pairs.map(({ pair }) => pair);
    const [first] = pairs as [Pair];
    const namespaces = namespacesOf(pairs, side);
    const deps = { client: first[side].client, namespaces, take, retry: this.#patient(signal), signal };
    return new ChangeFeed(this.#moment[side], deps);
  }

  #patient(signal: AbortSignal): RetryOptions {
    const { clock, onRetry } = this.#deps;
    return { what: "following changes", clock, signal, onRetry };
  }

  async #sourceChanged(batch: ChangedBatch, signal: AbortSignal): Promise<void> {
    // Looked at no sooner than it should be on the target: by then its change there has come, too, and one look is enough.
    this.#note(batch, this.#bySource, batch.upTo);
    this.#sourceUpTo = batch.upTo;
    await this.#untilRoom(signal);
  }

  async #targetChanged(batch: ChangedBatch, signal: AbortSignal): Promise<void> {
    this.#note(batch, this.#byTarget, this.#sourceUpTo);
    await this.#untilRoom(signal);
  }

  #note({ changes, ended }: ChangedBatch, by: ReadonlyMap<string, readonly Followed[]>, due: bigint): void {
    const moment = this.#moment;
    for (const [ns, some] of Map.groupBy(changes, ({ ns }) => ns)) {
      const keys = some.flatMap(({ key }) => (key === undefined ? [] : [{ key }]));
      for (const { pair, recheck } of by.get(ns) ?? []) {
        if (keys.length < some.length) this.#gone.add(pair.route);
        recheck.add(keys, { due, moment });
      }
    }
    if (ended) for (const { pair } of [...by.values()].flat()) this.#gone.add(pair.route);
  }

  get #waiting(): number {
    return this.#pairs.reduce((sum, { recheck }) => sum + recheck.size, 0);
  }

  async #untilRoom(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    await lookUntil(PAUSE_MS, { clock, signal }, async () => this.#waiting <= MOST_CHANGED);
  }

  /**
   * A moment begins on the source; its time on the target is when everything up to it has been applied. So what the pipeline wrote
   * on the way to it was seen, too: a document that was right for a while, between two writes, is looked at again.
   */
  async #takeMoments(feeds: readonly ChangeFeed[], sides: readonly CollectionAt[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const options = this.#patient(signal);
    const [here, there] = sides as [CollectionAt, CollectionAt];
    const until = (look: () => Promise<boolean>): Promise<true> => lookUntil(PAUSE_MS, { clock, signal }, look);
    await every(PAUSE_MS, { clock, ended: signal, first: "now" }, async () => {
      const source = await retryForever(() => clusterTimeOf(here.client), options);
      await until(() => retryForever(() => this.#isApplied(source), options));
      const target = await retryForever(() => clusterTimeOf(there.client), options);
      await until(async () => feeds.every(({ upTo }, i) => upTo >= (i === 0 ? source : target)));
      this.#moment = { source, target };
    });
  }

  async #isApplied(at: bigint): Promise<boolean> {
    const times = await Promise.all(this.#pairs.map(({ pair }) => pair.applied()));
    return times.every((time) => time === undefined || time >= at);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const options = this.#patient(signal);
    await every(PAUSE_MS, { clock, ended: signal, first: "now" }, async () => {
      while ((await this.#judge(options)) >= LOOK); // there is more to look at
    });
  }

  /** One look at each route. @returns how many documents are settled by it */
  async #judge(options: RetryOptions): Promise<number> {
    let judged = 0;
    for (const followed of this.#pairs) {
      const { right, wrong, excused } = await retryForever(() => followed.recheck.look(LOOK), options);
      judged += right.length + wrong.length + excused.length;
      const settled = followed.hasWrong ? [...right, ...excused] : [];
      if (wrong.length + settled.length > 0)
        await retryForever(() => this.#deps.store.judge(followed.pair.route, wrong, settled), options);
    }
    return judged;
  }

  /** What is wrong may have been put right by whatever no stream tells of, and is looked at again. */
  async #lookAtWrong(): Promise<void> {
    const noted = { due: this.#sourceUpTo, moment: undefined };
    for (const followed of this.#pairs) {
      const { first } = await this.#deps.store.wrong(followed.pair.route, LOOK);
      followed.hasWrong = first.length > 0;
      followed.recheck.add(
        first.map(({ key }) => ({ key: key.buffer.subarray(0, key.position) })),
        noted,
      );
    }
  }

  async #save(signal: AbortSignal): Promise<void> {
    const { store, clock, onProgress } = this.#deps;
    const options = this.#patient(signal);
    let turn = 0;
    await lookUntil(SAVE_MS, { clock, signal }, async () => {
      if (turn++ % WRONG_EVERY === 0) await retryForever(() => this.#lookAtWrong(), options);
      const at = this.#verified;
      const behind = new Map(this.#pairs.map(({ pair, recheck }) => [pair.route, recheck.waiting]));
      await retryForever(() => store.advanceVerified(at, behind), options);
      return (await onProgress(at, behind)) || this.#gone.size > 0;
    });
  }
}
