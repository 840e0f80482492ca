import type { Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { ConflictPolicy } from "#base/config/routes.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { formatNamespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import { heapForComparing } from "#source/copy/copyHeap.ts";
import { batchSizeOf, readRanges } from "./bounds.ts";
import type { Expect, Onto, RangeDeps, Suspect } from "./pairedRange.ts";
import { pairRecheck } from "./pairRecheck.ts";
import { clusterTimeOf, timestampOf } from "./reads.ts";
import type { Recheck, RecheckDeps, Wrong } from "./recheck.ts";
import type { Bounds } from "./side.ts";
import {
  leftOf,
  provenUpTo,
  type RangeProgress,
  type VerificationRecord,
  type VerificationStore,
} from "./verificationStore.ts";

/** One route, as far as its suspects are judged. */
export type Judged = Readonly<{
  route: string;
  source: CollectionAt;
  /** The target's documents of these raw `{ _id }`s, in the form of `expect`; never older than what was applied by now. */
  readTarget: RecheckDeps["readTarget"];
  /** What the target should hold of a source document; undefined where it is carried as it is. */
  expect: Expect | undefined;
  /** Undefined where the source owns whole documents. */
  onto: Onto | undefined;
  /** Brings what these two know up to what is on the target by now: `expect` may depend on what the pipeline has met. */
  learn: () => Promise<void>;
  /** Who wins where both sides write, as the route began. */
  policy: ConflictPolicy;
  /** A digest of the rules behind them. */
  rules: string;
  /** Everything up to this clusterTime of the source is on the target; undefined where nothing tells. */
  applied: () => Promise<bigint | undefined>;
  excused: RecheckDeps["excused"];
}>;

/** What a comparison tells while it works. */
export type RangeWork = Pick<RangeDeps, "batchSize" | "suspect" | "progress" | "signal">;

/** One route, as its documents are compared for the first time. */
export type Compared = Judged &
  Readonly<{
    /** The target, as records call it. */
    to: string;
    /** The target's clusterTime; 0n where it has none. */
    targetTime: () => Promise<bigint>;
    /** Before the ranges of a pass. */
    open: (suspect: RangeDeps["suspect"]) => Promise<RangeComparison>;
  }>;

/** Compares a range: the source's documents with what the target has between the same bounds. */
export type RangeComparison = (work: RangeWork, bounds: Bounds) => Promise<void>;

export type VerificationDeps = Readonly<{
  store: VerificationStore;
  clock: Clock;
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
  /** Documents that were compared since the last call; first those of a pass that was interrupted. */
  onProgress: (route: string, documents: number) => void;
  /** How much of the time the source may be read; undefined: all of it. */
  throttle: Throttle | undefined;
  /** Ranges that are read concurrently. */
  readers: number;
  graceMs: number;
  /** A pass ends when nothing could be judged for so long, ms: no process applies what is behind. */
  patienceMs: number;
}>;

/** What one pass found. */
export type PassResult = Readonly<{
  route: string;
  /** Documents of the source that were compared. */
  documents: number;
  /** Wrong documents, the first of them, and those that are not as they should be for a reason on the books. */
  wrong: number;
  examples: readonly Wrong[];
  excused: number;
  /** Documents that are still on their way, where nothing has moved for the time that was given. */
  behind: number;
  /** Source time: everything that was written before it has been compared. */
  at: bigint;
}>;

type RangeReading = Readonly<{ compare: RangeComparison; batchSize: number; signal: AbortSignal }>;

/** Documents of each second look. */
const LOOK = 1000;
/** With more suspects than these in memory the first pass waits. */
const MOST_SUSPECTS = 20_000;
const PAUSE_MS = 100;
const SAVE_MS = 1000;
const EXAMPLES = 20;

/** One pass over one route: every range compared once, what differs looked at again until it is settled or wrong. */
export class Verification {
  readonly #pair: Compared;
  readonly #deps: VerificationDeps;
  readonly #recheck: Recheck;
  #documents = 0;
  /** By identity, like the examples: what is read again after an outage, or was known before the pass, is judged twice. */
  readonly #excused = new Set<string>();
  readonly #examples = new Map<string, Wrong>();

  constructor(pair: Compared, deps: VerificationDeps) {
    this.#pair = pair;
    this.#deps = deps;
    this.#recheck = pairRecheck(pair, deps);
  }

  /** Has a pass ended by these rules, and nothing made it void since? @throws FERRY_MONGO_* */
  async isProven(): Promise<boolean> {
    const known = await this.#deps.store.read(this.#pair.route);
    return known !== undefined && this.#isSame(known) && provenUpTo(known) !== undefined;
  }

  /** Resumes a pass that was interrupted. @throws FERRY_MONGO_*, the signal's reason */
  async pass(): Promise<PassResult> {
    const { store, signal, readers } = this.#deps;
    const { route } = this.#pair;
    using _heap = heapForComparing();
    await this.#pair.learn();
    const record = await this.#begin();
    for await (const key of store.keys(route)) this.#recheck.add([{ key }]);
    const batchSize = await batchSizeOf(this.#pair.source);
    const queue = [...record.ranges.entries()].filter(([, { done }]) => !done);
    this.#documents = record.ranges.reduce((sum, { documents }) => sum + Number(documents), 0);
    this.#deps.onProgress(route, this.#documents);
    const reading = { left: readers };
    await using tasks = new TaskGroup(signal);
    const opened = retryForever(() => this.#open(tasks.signal), this.#patient(tasks.signal));
    for (let reader = 0; reader < readers; reader++)
      tasks.run(async () => {
        const compare = await opened;
        for (let next = queue.shift(); next !== undefined; next = queue.shift())
          await this.#range(next[0], next[1], { compare, batchSize, signal: tasks.signal });
        reading.left--;
      });
    tasks.run(() => this.#look(() => reading.left === 0, tasks.signal));
    await tasks.settled();
    const at = { source: record.startedSource.toBigInt(), target: record.startedTarget.toBigInt() };
    await store.finish(route, this.#documents, at, this.#recheck.size);
    return {
      route,
      documents: this.#documents,
      wrong: await store.wrongOf([route]),
      examples: [...this.#examples.values()],
      excused: this.#excused.size,
      behind: this.#recheck.size,
      at: at.source,
    };
  }

  get #what(): Pick<VerificationRecord, "from" | "to" | "rules"> {
    const { source, to, rules } = this.#pair;
    return { from: formatNamespace(source.ns), to, rules };
  }

  #isSame(known: VerificationRecord): boolean {
    const { from, to, rules } = this.#what;
    return known.from === from && known.to === to && known.rules === rules;
  }

  async #begin(): Promise<VerificationRecord> {
    const { store } = this.#deps;
    const { route, source, targetTime } = this.#pair;
    const known = await store.read(route);
    const isSame = known !== undefined && this.#isSame(known);
    if (isSame && known.finishedAt === undefined) return known;
    const [startedSource, startedTarget] = (await Promise.all([clusterTimeOf(source.client), targetTime()])).map(
      timestampOf,
    ) as [Timestamp, Timestamp];
    const bounds = await readRanges(source);
    const record = { _id: route, ...this.#what, pass: (known?.pass ?? 0) + 1, startedSource, startedTarget };
    return store.begin(record, bounds, !isSame);
  }

  #open(signal: AbortSignal): Promise<RangeComparison> {
    const { store } = this.#deps;
    const { open, route } = this.#pair;
    return open(async (suspects) => {
      await store.suspect(
        route,
        suspects.map(({ key }) => key),
      );
      await this.#suspect(suspects, signal);
    });
  }

  /** One range, from its saved progress. Transient errors are retried from there. */
  async #range(index: number, range: RangeProgress, { compare, batchSize, signal }: RangeReading): Promise<void> {
    const { store, clock, onProgress } = this.#deps;
    const { route } = this.#pair;
    let bounds = leftOf(range);
    let documents = Number(range.documents);
    let savedAt = clock.now();
    let readSince = clock.now();
    const found: Uint8Array[] = [];
    const save = async (done: boolean): Promise<void> => {
      await store.suspect(route, found.splice(0));
      await store.advance(route, index, bounds.from, documents, done);
      savedAt = clock.now();
    };
    const options = this.#patient(signal);
    const attempt = (): Promise<void> =>
      compare(
        {
          ...{ signal, batchSize },
          suspect: async (suspects) => {
            for (const { key } of suspects) found.push(key);
            await this.#suspect(suspects, signal);
          },
          progress: async (next, count) => {
            bounds = { ...bounds, from: next };
            documents += count;
            this.#documents += count;
            onProgress(route, count);
            await this.#rest(clock.now() - readSince, signal);
            readSince = clock.now();
            if (clock.now() - savedAt >= SAVE_MS) await save(false);
          },
        },
        bounds,
      );
    await retryForever(attempt, options);
    await save(true);
  }

  /** The source's services come first. @param ms that were spent reading */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const { throttle, clock } = this.#deps;
    const rest = throttle?.restAfter(ms) ?? 0;
    if (rest > 0) await clock.sleep(rest, signal);
  }

  /** Transient errors are retried until the signal. */
  #patient(signal: AbortSignal): RetryOptions {
    const { clock, onRetry } = this.#deps;
    const what = `verifying ${this.#pair.route}`;
    return { what, clock, signal, onRetry };
  }

  async #suspect(suspects: readonly Suspect[], signal: AbortSignal): Promise<void> {
    this.#recheck.add(suspects);
    const { clock } = this.#deps;
    await lookUntil(PAUSE_MS, { clock, signal }, async () => this.#recheck.size <= MOST_SUSPECTS);
  }

  /** Looks at what is suspect until nothing is and nothing more comes. */
  async #look(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    const { clock, patienceMs } = this.#deps;
    const options = this.#patient(signal);
    let movedAt = clock.now();
    await lookUntil(PAUSE_MS, { clock, signal }, async () => {
      for (;;) {
        const last = isOver();
        if (!last) movedAt = clock.now();
        if (clock.now() - movedAt >= patienceMs) return true;
        if (this.#recheck.size === 0) return last;
        if ((await this.#judge(options)) === 0) return false;
        movedAt = clock.now();
      }
    });
  }

  /** One look. @returns how many suspects are settled by it */
  async #judge(options: RetryOptions): Promise<number> {
    const { store } = this.#deps;
    const { right, excused, wrong } = await retryForever(() => this.#recheck.look(LOOK), options);
    await retryForever(() => store.judge(this.#pair.route, wrong, [...right, ...excused]), options);
    for (const key of excused) this.#excused.add(identityOf(key));
    for (const one of wrong) if (this.#examples.size < EXAMPLES) this.#examples.set(one.identity, one);
    return right.length + wrong.length + excused.length;
  }
}
