import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { formatNamespace } from "#base/flow/types.ts";
import { isCursorGone } from "#io/mongo/serverCodes.ts";
import { readRanges } from "./bounds.ts";
import { changedBetween } from "./changedKeys.ts";
import { compareRange, type Expect, type Suspect } from "./pairedRange.ts";
import { clusterTimeOf, readVersions, timestampOf } from "./reads.ts";
import { Recheck, type Versions, type Wrong } from "./recheck.ts";
import type { Bounds, Side } from "./side.ts";
import { leftOf, type VerificationRecord, type VerificationStore } from "./verificationStore.ts";

/** One route as the verifier sees it. */
export type Pair = Readonly<{
  route: string;
  source: Side;
  target: Side;
  /** What the target should hold of a source document; undefined where it is carried as it is. */
  expect: Expect | undefined;
  /** Does the target's document do; undefined where it must be the same byte for byte. */
  does: ((expected: Uint8Array, actual: Uint8Array) => boolean) | undefined;
  /** A digest of the rules behind these two. */
  rules: string;
  /** Everything up to this clusterTime of the source is on the target; undefined where nothing tells. */
  applied: () => Promise<bigint | undefined>;
  /** Identities of those that are missing or foreign for a reason that is on the books. */
  excused: (keys: readonly Uint8Array[]) => Promise<ReadonlySet<string>>;
}>;

export type VerificationDeps = Readonly<{
  store: VerificationStore;
  clock: Clock;
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
  /** Documents that were compared since the last call. */
  onProgress: (route: string, documents: number) => void;
  /** Ranges that are read at once. */
  readers: number;
  graceMs: number;
  /** A pass ends when nothing could be judged for so long, ms: nobody carries what is behind. */
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

/** Documents of each reply, and of each second look. */
const BATCH = 10_000;
const LOOK = 1000;
/** More suspects than these wait in memory for nobody: the first look rests. */
const MOST_SUSPECTS = 20_000;
const PAUSE_MS = 100;
const SAVE_MS = 1000;
const EXAMPLES = 20;

/** One pass over one route: every range compared once, what differs looked at again until it is settled or wrong. */
export class Verification {
  readonly #pair: Pair;
  readonly #deps: VerificationDeps;
  readonly #recheck: Recheck;
  #wrong = 0;
  #excused = 0;
  #documents = 0;
  #sourceAt = 0n;
  readonly #examples: Wrong[] = [];

  constructor(pair: Pair, deps: VerificationDeps) {
    this.#pair = pair;
    this.#deps = deps;
    const { expect, does, applied, excused } = pair;
    this.#recheck = new Recheck({
      readSource: (keys) => this.#readSource(keys),
      readTarget: (keys) => this.#readTarget(keys),
      changedSince: (keys, at) => changedBetween(pair.source, keys, at, this.#sourceAt, deps.signal),
      applied,
      expect,
      does,
      excused,
      graceMs: deps.graceMs,
      now: () => deps.clock.now(),
    });
  }

  /** Goes on with a pass that was interrupted. @throws FERRY_MONGO_*, the signal's reason */
  async pass(): Promise<PassResult> {
    const { store, signal, readers } = this.#deps;
    const { route } = this.#pair;
    const record = await this.#begin();
    for await (const key of store.keys(route)) this.#recheck.add([{ key }]);
    const queue = [...record.ranges.entries()].filter(([, { done }]) => !done);
    this.#documents = record.ranges.reduce((sum, { documents }) => sum + Number(documents), 0);
    const reading = { left: readers };
    await using tasks = new TaskGroup(signal);
    for (let reader = 0; reader < readers; reader++)
      tasks.run(async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift())
          await this.#range(next[0], leftOf(next[1]), Number(next[1].documents), tasks.signal);
        reading.left--;
      });
    tasks.run(() => this.#look(() => reading.left === 0, tasks.signal));
    await tasks.settled();
    await store.finish(route, this.#documents);
    return {
      route,
      documents: this.#documents,
      wrong: this.#wrong,
      examples: this.#examples,
      excused: this.#excused,
      behind: this.#recheck.size,
      at: record.startedSource.toBigInt(),
    };
  }

  async #begin(): Promise<VerificationRecord> {
    const { store } = this.#deps;
    const { route, source, target, rules } = this.#pair;
    const known = await store.read(route);
    const names = { from: formatNamespace(source.ns), to: formatNamespace(target.ns) };
    const isSame = known?.from === names.from && known.to === names.to && known.rules === rules;
    if (known !== undefined && isSame && known.finishedAt === undefined) return known;
    const startedSource = timestampOf(await clusterTimeOf(source.client));
    const bounds = await readRanges(source);
    return store.begin({ _id: route, ...names, rules, pass: (known?.pass ?? 0) + 1, startedSource }, bounds);
  }

  /** One range, from where it was left. What passes by itself is tried again from there. */
  async #range(index: number, left: Bounds, before: number, signal: AbortSignal): Promise<void> {
    const { store, clock, onProgress } = this.#deps;
    const { source, target, expect, does, route } = this.#pair;
    let bounds = left;
    let documents = before;
    let savedAt = clock.now();
    const found: Uint8Array[] = [];
    const save = async (done: boolean): Promise<void> => {
      await store.suspect(route, found.splice(0));
      await store.advance(route, index, bounds.from, documents, done);
      savedAt = clock.now();
    };
    const options = this.#patient(signal);
    const attempt = (): Promise<void> =>
      compareRange(
        {
          ...{ source, target, expect, does, signal, batchSize: BATCH },
          suspect: async (suspects) => {
            for (const { key } of suspects) found.push(key);
            await this.#suspect(suspects, signal);
          },
          progress: async (next, count) => {
            bounds = { ...bounds, from: next };
            documents += count;
            this.#documents += count;
            onProgress(route, count);
            if (clock.now() - savedAt >= SAVE_MS) await save(false);
          },
        },
        bounds,
      );
    await retryForever(async () => {
      for (;;)
        try {
          return await attempt();
        } catch (error) {
          if (!isCursorGone(error)) throw error; // opened again where it was
        }
    }, options);
    await save(true);
  }

  /** What passes by itself is tried again for as long as the signal lets it. */
  #patient(signal: AbortSignal): RetryOptions {
    const { clock, onRetry } = this.#deps;
    const what = `verifying ${this.#pair.route}`;
    return { what, clock, signal, onRetry };
  }

  async #suspect(suspects: readonly Suspect[], signal: AbortSignal): Promise<void> {
    this.#recheck.add(suspects);
    while (this.#recheck.size > MOST_SUSPECTS) await this.#deps.clock.sleep(PAUSE_MS, signal);
  }

  /** Looks at what is suspect until nothing is and nothing more comes. */
  async #look(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    const { store, clock, patienceMs } = this.#deps;
    const { route } = this.#pair;
    const options = this.#patient(signal);
    let movedAt = clock.now();
    for (;;) {
      const last = isOver();
      if (!last) movedAt = clock.now();
      if (clock.now() - movedAt >= patienceMs) return;
      if (this.#recheck.size === 0) {
        if (last) return;
        await clock.sleep(PAUSE_MS, signal);
        continue;
      }
      const { right, excused, wrong } = await retryForever(() => this.#recheck.look(LOOK), options);
      await retryForever(() => store.judge(route, wrong, [...right, ...excused]), options);
      this.#wrong += wrong.length;
      this.#excused += excused.length;
      this.#examples.push(...wrong.slice(0, EXAMPLES - this.#examples.length));
      if (right.length + wrong.length + excused.length === 0) await clock.sleep(PAUSE_MS, signal);
      else movedAt = clock.now();
    }
  }

  async #readSource(keys: readonly Uint8Array[]): Promise<Versions> {
    const { source } = this.#pair;
    const documents = await readVersions(source, keys, this.#sourceAt);
    // Asked for behind the read: everything that it showed was committed by then.
    this.#sourceAt = await clusterTimeOf(source.client);
    return { documents, at: this.#sourceAt };
  }

  async #readTarget(keys: readonly Uint8Array[]): Promise<Versions> {
    const { target } = this.#pair;
    // Asked for before the read: what was applied by now is in it.
    const at = await clusterTimeOf(target.client);
    return { documents: await readVersions(target, keys, at), at };
  }
}
