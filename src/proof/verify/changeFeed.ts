import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { isCursorGone } from "#io/mongo/serverCodes.ts";
import { type ChangedBatch, ChangedKeys } from "./changedKeys.ts";

export type ChangeFeedDeps = Readonly<{
  client: MongoClient;
  namespaces: readonly Namespace[];
  /** Takes each reply; waits while there is too much of it. */
  take: (batch: ChangedBatch) => Promise<void>;
  retry: RetryOptions;
  signal: AbortSignal;
}>;

/** The changes of some collections of one side, from a clusterTime on, through outages. */
export class ChangeFeed {
  readonly #deps: ChangeFeedDeps;
  #upTo: bigint;

  /** @param from clusterTime: everything before it is known */
  constructor(from: bigint, deps: ChangeFeedDeps) {
    this.#upTo = from;
    this.#deps = deps;
  }

  /** Every change up to this clusterTime was taken. */
  get upTo(): bigint {
    return this.#upTo;
  }

  /** Runs until the signal, or until a watched collection went and its stream with it. @throws FERRY_MONGO_* (ChangeStreamHistoryLost where the history is gone) */
  async run(): Promise<void> {
    for (let goesOn = true; goesOn; ) goesOn = await retryForever(() => this.#stream(), this.#deps.retry);
  }

  /** One stream to its end; true if another one continues. */
  async #stream(): Promise<boolean> {
    const { client, namespaces, take, signal } = this.#deps;
    await using changed = await ChangedKeys.open(client, namespaces, this.#upTo);
    try {
      for (;;) {
        signal.throwIfAborted();
        const batch = await changed.next();
        await take(batch);
        this.#upTo = batch.upTo;
        if (batch.ended) return false;
      }
    } catch (error) {
      if (isCursorGone(error)) return true;
      throw error;
    }
  }
}
