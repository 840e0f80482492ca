import { Timestamp } from "bson";
import { rawField } from "#base/bson/rawValue.ts";
import { BsonType, Cursor, rawValue } from "#base/bson/walk.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { notOurs } from "#io/mongo/session.ts";
import { ChangeCursor } from "#source/stream/changeCursor.ts";
import { eventTime, operationOf } from "#source/stream/rawEvent.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import type { ForeignBatch, ForeignWrite, ForeignWrites, WatchStart } from "./foreignWrites.ts";

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

const elements = new Cursor();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The strings of an array of the event; undefined if one is not UTF-8: an ambiguous name. */
const namesIn = (event: Uint8Array, field: string): readonly string[] | undefined => {
  const list = rawField(event, field);
  if (list?.type !== BsonType.array) return [];
  const names: string[] = [];
  elements.open(list.bytes);
  try {
    while (elements.next())
      names.push(text.decode(list.bytes.subarray(elements.valueStart + 4, elements.valueEnd - 1)));
  } catch {
    return undefined;
  }
  return names;
};

/** A document that is replaced or deleted loses what it had: that is a change of the whole. */
const NAMED = new Set(["insert", "update"]);

/** Undefined for an event that is no write of a document. */
const writeOf = (event: Uint8Array): ForeignWrite | undefined => {
  const documentKey = rawValue(event, "documentKey");
  const at = eventTime(event);
  if (documentKey === undefined || at === undefined) return undefined;
  const names = ["fields", "removed", "truncated"].map((field) => namesIn(event, field));
  return {
    documentKey: Buffer.from(documentKey), // outlives its reply
    at: new Timestamp(at),
    fields:
      NAMED.has(operationOf(event)) && !names.includes(undefined) ? names.flatMap((some) => some ?? []) : undefined,
  };
};

/** The target's change stream, without the writes of ferry's lanes. */
export class TargetStream implements ForeignWrites {
  readonly #cursor: ChangeCursor;

  private constructor(cursor: ChangeCursor) {
    this.#cursor = cursor;
  }

  /** @throws FERRY_MONGO_* (`isHistoryLost` where the oplog no longer reaches back) */
  static async open(client: MongoClient, ns: Namespace, from: WatchStart): Promise<TargetStream> {
    const cursor = await ChangeCursor.open({
      client,
      watch: { level: "collection", ...ns },
      from,
      pipeline: [{ $match: notOurs }, { $project: NAMES_ONLY }],
      phase: `watching ${ns.db}.${ns.coll} on the target`,
    });
    // The reply that came with the opening is empty, and as old as that: later callers need a newer one.
    await cursor.next({ batchSize: AT_ONCE });
    return new TargetStream(cursor);
  }

  async next(waitMs: number): Promise<ForeignBatch> {
    const { documents, bytes, token, ended } = await this.#cursor.next({ batchSize: AT_ONCE, maxTimeMS: waitMs });
    const isFull = documents.length >= AT_ONCE || bytes > FULL_BYTES;
    return {
      writes: documents.flatMap((event) => writeOf(event) ?? []),
      upTo: isFull ? undefined : new Timestamp(tokenTime(token)),
      token,
      ended,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}
