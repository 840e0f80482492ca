import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { CopySource } from "#source/copy/copySource.ts";
import { type RangeSource, rangesOf } from "#source/copy/rangeSource.ts";
import { type OplogNote, oplogRoom } from "#source/stream/oplogRoom.ts";
import { RestingSource } from "#source/stream/restingSource.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { clockOf } from "#source/stream/sourceProbe.ts";
import { type Changes, SourceStream, type StreamFeatures } from "#source/stream/sourceStream.ts";

/** What ferry's own capture reads of a source. Every method throws FERRY_MONGO_*. */
export interface CaptureSource {
  readonly ranges: RangeSource;
  /** Keeps the time of a source at rest going. */
  readonly resting: Pick<RestingSource, "at" | "note">;
  /** The changes after a position. Nothing is asked before the first `next`. */
  changes(after: ResumeToken): Changes;
  /** The source's clock, ms since the epoch. */
  now(): Promise<number>;
  /** How far the past reaches back before a position; undefined where that may not be read. */
  room(position: ResumeToken): Promise<OplogNote | undefined>;
}

export type CaptureSourceDeps = Readonly<{
  source: MongoClient;
  /** Where the copy reads. */
  copySource: CopySource;
  features: StreamFeatures;
  scope: Scope;
  clock: Clock;
  logger: Logger;
}>;

export const captureSourceOf = (deps: CaptureSourceDeps): CaptureSource => {
  const { source: client, copySource, features, scope, clock, logger } = deps;
  const stream = { client, watch: scope.watch, match: scope.match(features.system), features };
  return {
    ranges: rangesOf(copySource),
    resting: new RestingSource({ client, clock, logger }),
    changes: (after) => new SourceStream(stream, after),
    now: () => clockOf(client),
    room: (position) => oplogRoom(client, position),
  };
};
