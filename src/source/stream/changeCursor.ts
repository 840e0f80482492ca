import type { Timestamp } from "bson";
import { assert } from "#base/errors/ferryError.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { RawCursor, type RawReply } from "#io/mongo/rawCursor.ts";
import { ResumeToken } from "./resumeToken.ts";
import type { Watch } from "./watchLevel.ts";

/** Where a change stream begins: after what a token stands for, at a clusterTime (inclusive), or with what comes from now on. */
export type StreamStart = Readonly<{ after: ResumeToken }> | Readonly<{ at: Timestamp }> | "now";

export type ChangeCursorOptions = Readonly<{
  client: MongoClient;
  watch: Watch;
  from: StreamStart;
  /** More options of `$changeStream`. */
  stream?: Document;
  /** The stages after it. */
  pipeline?: readonly Document[];
  /** Most events of the first reply. 0: the first reply says where the stream begins, and no more. */
  batchSize?: number;
  /** What is being done, for errors. */
  phase: string;
}>;

/** Raw events of one reply. */
export type ChangeReply = Pick<RawReply, "documents" | "bytes" | "ended"> &
  Readonly<{
    /** Resuming after this brings everything that is not in this reply or an earlier one. */
    token: ResumeToken;
  }>;

/** On which database a level is watched; an aggregation of a database alone stands on the number 1. */
export const watchedOn = ({ level, db, coll }: Watch): Readonly<{ db: string; target: string | 1 }> => ({
  db: level === "cluster" ? "admin" : db,
  target: level === "collection" ? coll : 1,
});

const startOf = (from: StreamStart): Document => {
  if (from === "now") return {};
  return "at" in from ? { startAtOperationTime: from.at } : { startAfter: from.after };
};

/**
 * The one reader of change streams, of either side: raw, by own commands. The driver's stream does not tell where a reply ends,
 * and only a reply's end says up to which time nothing is missing. It does not resume: its reader opens another one
 * after the last position. Source: MongoDB manual, "Change Streams"; `postBatchResumeToken` is the latest time that the server
 * has looked at, and is in every reply since 4.0.7, but for the last one of a stream that the server has closed.
 */
export class ChangeCursor implements AsyncDisposable {
  readonly #cursor: RawCursor;
  #token: ResumeToken | undefined;

  private constructor(cursor: RawCursor, token: ResumeToken | undefined) {
    this.#cursor = cursor;
    this.#token = token;
  }

  /** @throws FERRY_MONGO_*; `isHistoryLost` tells that the oplog no longer reaches back to the start */
  static async open(options: ChangeCursorOptions): Promise<ChangeCursor> {
    const { client, watch, from, stream = {}, pipeline = [], batchSize = 0, phase } = options;
    const { db, target } = watchedOn(watch);
    const whole = watch.level === "cluster" ? { allChangesForCluster: true } : {};
    const command = {
      aggregate: target,
      pipeline: [{ $changeStream: { ...whole, ...stream, ...startOf(from) } }, ...pipeline],
      cursor: { batchSize },
      readConcern: { level: "majority" },
    };
    const cursor = await RawCursor.open({ client, db, command, phase });
    return new ChangeCursor(cursor, from !== "now" && "after" in from ? from.after : undefined);
  }

  /** The server's time when the stream was opened: what was acknowledged before is not later. */
  get openedAt(): Timestamp {
    const { openedAt } = this.#cursor;
    assert(openedAt !== undefined, "a server with change streams names its time in each reply");
    return openedAt;
  }

  /**
   * The next reply; the first one is there already. Waits up to `maxTimeMS` for an event.
   * @throws FERRY_MONGO_*
   */
  async next(more: Readonly<{ batchSize: number; maxTimeMS?: number }>): Promise<ChangeReply> {
    const { documents, bytes, ended, postBatchResumeToken } = await this.#cursor.next(more);
    if (postBatchResumeToken !== undefined) this.#token = new ResumeToken(postBatchResumeToken);
    const token = this.#token;
    assert(token !== undefined, "a change stream's first reply has a postBatchResumeToken since MongoDB 4.0.7");
    return { documents, bytes, ended, token };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}
