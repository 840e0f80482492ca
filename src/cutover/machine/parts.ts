import type { Timestamp } from "bson";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Unrestored } from "#source/capture/captureLifecycle.ts";
import type { StoredToken } from "#source/stream/resumeToken.ts";

/** Cluster times of the source are 64 bits: seconds << 32 | increment. */
export type SourceTime = bigint;

/**
 * What carries the source's changes to the target, of any topology. Every method may be called again after a kill, by another
 * process, and throws FERRY_MONGO_* or FERRY_KAFKA_* of its servers.
 */
export interface Carrier {
  /** Why it cannot be switched over now; empty where it can. */
  unready(): Promise<readonly FerryError[]>;
  /** Its positions move within milliseconds (true), or at their usual pace. */
  hurry(on: boolean): Promise<void>;
  /**
   * Resolves when everything up to this time of the source is on the target.
   * @throws FERRY_RUN_* if it cannot get there without an operator, the signal's reason
   */
  drainTo(at: SourceTime, signal: AbortSignal): Promise<void>;
  /** Ends it, and restores what is slow. @returns what could not be restored. @throws the signal's reason */
  end(at: SourceTime, signal: AbortSignal): Promise<readonly Unrestored[]>;
}

export type FenceKind = "user-write-block" | "validator" | "hook" | "none";

/** What keeps the source's services from writing. Both ways are idempotent. */
export interface Fence {
  readonly kind: FenceKind;
  /** Why it cannot be raised: privileges, or a fence that is up already. */
  unready(): Promise<readonly FerryError[]>;
  /**
   * Refuses writes from now on. Returns only when the source has decided, so that nothing of it is under way afterwards.
   * @param leftMs how long the source may take
   * @returns a time of the source that no write accepted before it is later than
   * @throws FERRY_MONGO_*, FERRY_CUTOVER_HOOK, the signal's reason
   */
  raise(leftMs: number, signal: AbortSignal): Promise<SourceTime>;
  /** Accepts writes again. @throws FERRY_MONGO_*, FERRY_CUTOVER_HOOK */
  lift(): Promise<void>;
}

/** What a fence is put around. */
export type FenceDeps = Readonly<{
  source: MongoClient;
  /** What is switched over, without views. */
  namespaces: () => Promise<readonly Namespace[]>;
  /** Only these are, and nothing else may be fenced; empty: everything that is carried. */
  named: readonly string[];
}>;

/** Is everything on the target that should be there? */
export interface Proof {
  unready(): Promise<readonly FerryError[]>;
  /** Proves what can be proven before the fence. @throws FERRY_VERIFY_* */
  approach(signal: AbortSignal): Promise<void>;
  /**
   * Proves the rest, when everything up to `at` is on the target: nothing is missing or wrong, and the source was not written to
   * after it. @returns the first thing that is
   */
  missing(at: SourceTime, signal: AbortSignal): Promise<FerryError | undefined>;
}

/** The target's indexes, validators and time limits that were deferred. */
export interface Deferred {
  unready(): Promise<readonly FerryError[]>;
  /** Restores what takes milliseconds. What the target refuses is reported at the end. */
  restoreCheap(signal: AbortSignal): Promise<void>;
  /** Of which collections changes cannot be carried back once it is restored, and why. */
  obstaclesBack(): Promise<readonly string[]>;
  /** Defers it again, where `restoreCheap` has begun. */
  deferAgain(): Promise<void>;
}

/** Where changes are carried back from, should services go back. */
export interface WayBack {
  /** What the target does not allow. @throws FERRY_MONGO_* */
  unready(): Promise<readonly FerryError[]>;
  /** Where the target stands now; undefined where it has no change stream. @throws FERRY_MONGO_* */
  position(): Promise<Readonly<{ token: StoredToken; at: Timestamp }> | undefined>;
}

/** The operator's own way to tell services where to write. */
export interface Services {
  /** Everything that a release takes, but for what it does: for a rehearsal. Changes nothing. @throws FERRY_CUTOVER_HOOK */
  trial(signal: AbortSignal): Promise<void>;
  /** Sends them to the target. Resolves when they were sent. @throws FERRY_CUTOVER_HOOK where none was */
  release(leftMs: number, signal: AbortSignal): Promise<void>;
}

/** Another process that lifts the fence where this one does not. */
export interface Watchman {
  /** Resolves when it has begun to watch. @throws FERRY_CUTOVER_WATCH */
  ready(): Promise<void>;
}

/** Everything that a cutover acts on. */
export type Parts = Readonly<{
  capture: Carrier;
  fence: Fence;
  proof: Proof;
  deferred: Deferred;
  wayBack: WayBack;
  services: Services;
  watchman: Watchman;
}>;
