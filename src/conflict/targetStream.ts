import { BSON, type Long, Timestamp } from "bson";
import type { ResumeToken } from "#capture/resumeToken.ts";
import { tokenTime } from "#capture/resumeToken.ts";
import type { Namespace } from "#flow/types.ts";
import type { ClientSession, Document, MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import { notOurs } from "#mongo/session.ts";
import type { ForeignWrite } from "./marks.ts";

/** Events of one reply; `upTo`: every write up to this clusterTime is in it or was in an earlier one. */
export type ForeignBatch = Readonly<{
  writes: readonly ForeignWrite[];
  upTo: Timestamp | undefined;
  token: ResumeToken;
  /** The collection was dropped or renamed by somebody: all its documents went. */
  ended: boolean;
}>;

/** Where a watch begins: behind what a token stands for, or at a clusterTime (inclusive). */
export type WatchStart = Readonly<{ after: ResumeToken }> | Readonly<{ at: Timestamp }>;

const AT_ONCE = 10_000;
/** A reply below this size ended because there was no more, not because it was full. */
const FULL_BYTES = 8 * 1024 * 1024;

/** Which fields, without their values: those of an update, or all of a document that was inserted. */
const NAMES_ONLY: Document = {
  operationType: 1,
  documentKey: 1,
  clusterTime: 1,
  fields: {
    $map: {
      input: {
        $objectToArray: {
          $cond: [
            { $eq: ["$operationType", "insert"] },
            "$fullDocument",
            { $ifNull: ["$updateDescription.updatedFields", {}] },
          ],
        },
      },
      in: "$$this.k",
    },
  },
  removed: "$updateDescription.removedFields",
  truncated: "$updateDescription.truncatedArrays.field",
};

const KEEP_TYPES = { promoteValues: false, promoteBuffers: false, bsonRegExp: true } as const;

type Event = Readonly<{
  operationType: string;
  documentKey?: Document;
  clusterTime: Timestamp;
  fields?: readonly string[];
  removed?: readonly string[];
  truncated?: readonly string[];
}>;

/** A document that is replaced or deleted loses what it had: that is a change of the whole. */
const NAMED = new Set(["insert", "update"]);

const writeOf = ({ operationType, documentKey, clusterTime, fields, removed, truncated }: Event): ForeignWrite => {
  const names = [...(fields ?? []), ...(removed ?? []), ...(truncated ?? [])].map(String);
  return {
    documentKey: BSON.serialize(documentKey as Document),
    at: clusterTime,
    fields: NAMED.has(operationType) ? names : undefined,
  };
};

const isWrite = ({ documentKey }: Event): boolean => documentKey !== undefined;

type Cursor = {
  id: number | bigint | Long;
  firstBatch?: Event[];
  nextBatch?: Event[];
  postBatchResumeToken: ResumeToken;
};

/**
 * What others than ferry's lanes write to one collection of the target, in order. Own `aggregate` and `getMore`: the driver's
 * stream does not tell where a reply ends, and only a reply's end says up to which time nothing is missing.
 * Source: MongoDB manual, "Change Streams"; postBatchResumeToken is the latest time that the server has looked at.
 */
export class TargetStream implements AsyncDisposable {
  readonly #client: MongoClient;
  readonly #ns: Namespace;
  readonly #session: ClientSession;
  #id: Cursor["id"] = 0;

  private constructor(client: MongoClient, ns: Namespace) {
    this.#client = client;
    this.#ns = ns;
    this.#session = client.startSession({ causalConsistency: false });
  }

  /** @throws FERRY_MONGO_* (286 where the history is gone) */
  static async open(client: MongoClient, ns: Namespace, from: WatchStart): Promise<TargetStream> {
    const stream = new TargetStream(client, ns);
    try {
      await stream.#open("at" in from ? { startAtOperationTime: from.at } : { startAfter: from.after });
      return stream;
    } catch (error) {
      await stream[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(start: Document): Promise<void> {
    const { db, coll } = this.#ns;
    const reply = await this.#command(`watching ${db}.${coll} on the target`, {
      aggregate: coll,
      pipeline: [{ $changeStream: start }, { $match: notOurs }, { $project: NAMES_ONLY }],
      cursor: { batchSize: 0 },
    });
    this.#id = reply.id;
  }

  async #command(what: string, command: Document): Promise<Cursor> {
    const options = { session: this.#session, ...KEEP_TYPES };
    return translated(
      what,
      async () => (await this.#client.db(this.#ns.db).command(command, options))["cursor"] as Cursor,
    );
  }

  /** The next reply; waits up to `waitMs` for a write. @throws FERRY_MONGO_* */
  async next(waitMs: number): Promise<ForeignBatch> {
    const { db, coll } = this.#ns;
    const {
      nextBatch = [],
      postBatchResumeToken,
      id,
    } = await this.#command(`watching ${db}.${coll} on the target`, {
      getMore: this.#id,
      collection: coll,
      batchSize: AT_ONCE,
      maxTimeMS: waitMs,
    });
    this.#id = id;
    const isFull = nextBatch.length >= AT_ONCE || (nextBatch.length > 500 && sizeOf(nextBatch) > FULL_BYTES);
    return {
      writes: nextBatch.filter(isWrite).map(writeOf),
      upTo: isFull ? undefined : new Timestamp(tokenTime(plainToken(postBatchResumeToken))),
      token: plainToken(postBatchResumeToken),
      ended: Number(id) === 0,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (Number(this.#id) !== 0)
      await this.#client
        .db(this.#ns.db)
        .command({ killCursors: this.#ns.coll, cursors: [this.#id] }, { session: this.#session })
        .catch(() => undefined); // the server forgets it by itself
    await this.#session.endSession();
  }
}

const plainToken = ({ _data }: ResumeToken): ResumeToken => ({ _data: String(_data) });

const sizeOf = (events: readonly Event[]): number => BSON.calculateObjectSize({ events });
