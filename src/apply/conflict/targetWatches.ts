import { Timestamp } from "bson";
import type { RunRecord } from "#apply/lanes/laneRecords.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { RetryOptions } from "#base/flow/retry.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import type { WatchStart } from "./foreignWrites.ts";
import type { MarkStore } from "./marks.ts";
import { TargetStream } from "./targetStream.ts";
import { TargetWatch } from "./targetWatch.ts";

export type TargetWatchesDeps = Readonly<{
  target: MongoClient;
  runs: RunStore;
  marks: MarkStore;
  accepted: ReadonlySet<string>;
  clock: Clock;
  logger: Logger;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

const tokenOf = (watched: NonNullable<RunRecord["watched"]>): ResumeToken =>
  ResumeToken.stored(typeof watched === "string" ? { _data: watched } : watched);

/** The watches of one worker: one a route, shared by its partitions, open until the worker ends. */
export class TargetWatches implements AsyncDisposable {
  readonly #deps: TargetWatchesDeps;
  readonly #open = new Map<string, Promise<TargetWatch>>();

  constructor(deps: TargetWatchesDeps) {
    this.#deps = deps;
  }

  /** @param ns on the target. @throws FERRY_TARGET_HISTORY, FERRY_MONGO_* */
  of(route: string, ns: Namespace): Promise<TargetWatch> {
    const known = this.#open.get(route);
    if (known !== undefined) return known;
    const opening = this.#start(route, ns).catch((error) => {
      this.#open.delete(route); // the next claim tries again
      throw error;
    });
    this.#open.set(route, opening);
    return opening;
  }

  async #start(route: string, ns: Namespace): Promise<TargetWatch> {
    const { target: client, runs, marks, accepted, clock, logger, onRetry } = this.#deps;
    const run = await runs.run(route);
    const begun = run?.begun?.at ?? new Timestamp(0n);
    const start = run?.watched === undefined ? { at: begun } : { after: tokenOf(run.watched) };
    const save = (token: ResumeToken): Promise<void> => runs.watched(route, token);
    const stream = (from: WatchStart): Promise<TargetStream> => TargetStream.open(client, ns, from);
    const open = (start: WatchStart): Promise<TargetWatch> =>
      TargetWatch.open({ stream, route, marks, start, save, clock, onRetry });
    try {
      return await open(start);
    } catch (error) {
      if (!isFerry(error, "FERRY_TARGET_HISTORY") || !accepted.has("FERRY_TARGET_HISTORY")) throw error;
      logger.warn({ route }, `${error.detail}; accepted by the operator: watched from now on`);
      await runs.unsure(route);
      const now = await translated("reading the target's time", () => client.db("admin").command({ ping: 1 }));
      return open({ at: now["operationTime"] as Timestamp });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#open.values())
      await opening.then((watch) => watch[Symbol.asyncDispose]()).catch(() => undefined);
  }
}
