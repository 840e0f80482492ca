import { Cursor, find } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { readByKeys, readFrom } from "#io/mongo/rawReads.ts";
import { hasServerCode, isHistoryLost, ServerCode } from "#io/mongo/serverCodes.ts";
import { ChangeCursor, type ChangeReply } from "./changeCursor.ts";
import { eventTime, namespaceIn, operationOf, ownToken } from "./rawEvent.ts";
import type { ResumeToken } from "./resumeToken.ts";
import { Fragments } from "./splitEvents.ts";
import type { Watch } from "./watchLevel.ts";

/** What the server's version can do. */
export type StreamFeatures = Readonly<{
  /** `showExpandedEvents`, since 6.0: create, createIndexes, collMod and the like. */
  expanded: boolean;
  /** `$changeStreamSplitLargeEvent`, since 7.0 and 6.0.9. */
  split: boolean;
  /** `showSystemEvents`, which is undocumented: see process/capture/timeSeries.ts. */
  system: boolean;
}>;

export const featuresOf = (version: string, system: boolean): StreamFeatures => {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return { expanded: major >= 6, split: major > 6 || (major === 6 && (minor > 0 || patch >= 9)), system };
};

export type SourceStreamOptions = Readonly<{
  client: MongoClient;
  watch: Watch;
  /** Selects the events, on the server. */
  match: object;
  features: StreamFeatures;
}>;

export type EventBatch = Readonly<{
  /** Raw events in the order of the source. */
  events: readonly Uint8Array[];
  bytes: number;
  /** Resuming after this brings everything that is not in these or earlier events. */
  token: ResumeToken;
  /** The stream's scope is gone (its database was dropped): it is opened again after this position. */
  invalidated: boolean;
  /** An event was too large for the server's reply: it came by its key, its document was looked up apart. */
  cutDown: boolean;
}>;

const AT_ONCE = 10_000;
/** After a larger reply nothing is read ahead: events of 16 MB would fill the memory. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;
/** After an event that was too large, so many come one by one before the server is asked for full replies again. */
const CAREFUL = 20;

/** What an event needs to be known by: small whatever the document and the delta are. */
const KEY_ONLY: Document = {
  $project: { operationType: 1, clusterTime: 1, wallTime: 1, ns: 1, to: 1, documentKey: 1, lsid: 1, txnNumber: 1 },
};

/** The event, document and delta together, does not fit into a reply. */
const isTooLarge = (error: unknown): boolean => hasServerCode(error, ServerCode.BSONObjectTooLarge);

/** The changes of a source after a position. */
export interface Changes extends AsyncDisposable {
  /**
   * The next reply, after at most `waitMs` where nothing happens.
   * @throws FERRY_SOURCE_HISTORY_LOST; FERRY_MONGO_*, after which the next call continues from the last position
   */
  next(waitMs: number): Promise<EventBatch>;
  /** Ends the wait of a `next` that is under way, which then rejects or has its reply; the one after it continues. */
  interrupt(): Promise<void>;
}

/**
 * The source's changes, whole: with the position of every reply, empty ones included, so that an idle namespace's position moves
 * with the oplog, and with documents as the recommended connector asks for them (`updateLookup`).
 */
export class SourceStream implements Changes {
  readonly #options: SourceStreamOptions;
  readonly #fragments = new Fragments();
  #cursor: ChangeCursor | undefined;
  #ahead: Promise<ChangeReply> | undefined;
  #token: ResumeToken;
  #careful = 0;

  /** Opened by the first `next`. */
  constructor(options: SourceStreamOptions, after: ResumeToken) {
    this.#options = options;
    this.#token = after;
  }

  /** The server is asked for the reply after it before this returns. */
  async next(waitMs: number): Promise<EventBatch> {
    try {
      return this.#careful > 0 ? await this.#one(waitMs) : await this.#many(waitMs);
    } catch (error) {
      await this.#close();
      if (isTooLarge(error)) {
        const first = this.#careful === 0;
        this.#careful = CAREFUL;
        return first ? this.next(waitMs) : this.#cutDown(waitMs);
      }
      if (isHistoryLost(error))
        throw new FerryError("FERRY_SOURCE_HISTORY_LOST", (error as FerryError).detail, { cause: error });
      throw error;
    }
  }

  async #many(waitMs: number): Promise<EventBatch> {
    this.#cursor ??= await this.#open(AT_ONCE);
    const ask = { batchSize: AT_ONCE, maxTimeMS: waitMs };
    const reply = await (this.#ahead ?? this.#cursor.next(ask));
    this.#ahead = reply.ended || reply.bytes > MAX_AHEAD_BYTES ? undefined : this.#cursor.next(ask);
    this.#ahead?.catch(() => undefined); // reported where it is awaited
    return this.#take(reply);
  }

  /** One event a reply: the server fails on the event that is too large, and on no other for its sake. */
  async #one(waitMs: number): Promise<EventBatch> {
    this.#cursor ??= await this.#open(1);
    const batch = await this.#take(await this.#cursor.next({ batchSize: 1, maxTimeMS: waitMs }));
    this.#careful -= batch.events.length;
    if (this.#careful <= 0) await this.#close();
    return batch;
  }

  async #open(batchSize: number, more: readonly Document[] = [], lookup = true): Promise<ChangeCursor> {
    const { client, watch, match, features } = this.#options;
    const stream = {
      ...(lookup ? { fullDocument: "updateLookup" } : {}),
      ...(features.expanded ? { showExpandedEvents: true } : {}),
      ...(features.system ? { showSystemEvents: true } : {}),
    };
    const split = features.split && lookup ? [{ $changeStreamSplitLargeEvent: {} }] : [];
    const pipeline = [{ $match: match }, ...more, ...split];
    const phase = "reading the source's change stream";
    return ChangeCursor.open({ client, watch, from: { after: this.#token }, stream, pipeline, batchSize, phase });
  }

  async #take({ documents, bytes, token, ended }: ChangeReply): Promise<EventBatch> {
    const joined = this.#fragments.join(documents);
    const last = joined.at(-1);
    const invalidated = last !== undefined && operationOf(last) === "invalidate";
    const events = invalidated ? joined.slice(0, -1) : joined;
    if (this.#fragments.isOpen) this.#token = (last && ownToken(last)) ?? this.#token;
    else if (invalidated) this.#token = ownToken(last) ?? this.#token;
    else this.#token = token;
    if (ended) await this.#close();
    return { events, bytes, token: this.#token, invalidated, cutDown: false };
  }

  /** The event that is too large, without what makes it so: its key, and the document as it is now. */
  async #cutDown(waitMs: number): Promise<EventBatch> {
    const { client } = this.#options;
    await using cursor = await this.#open(1, [KEY_ONLY], false);
    const reply = await this.#take(await cursor.next({ batchSize: 1, maxTimeMS: waitMs }));
    const [event] = reply.events;
    return event === undefined ? reply : { ...reply, events: [await withDocument(client, event)], cutDown: true };
  }

  interrupt(): Promise<void> {
    return this.#close();
  }

  async #close(): Promise<void> {
    const [cursor, ahead] = [this.#cursor, this.#ahead];
    this.#cursor = undefined;
    this.#ahead = undefined;
    await cursor?.[Symbol.asyncDispose]();
    await ahead?.catch(() => undefined); // ended by the end of its cursor
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

const writer = new BsonWriter(64 * 1024);
const elements = new Cursor();
const OPERATION = Buffer.from("operationType");
const WITH_DOCUMENT = new Set(["insert", "update", "replace"]);

/** The event with the document that a look-up finds now, or with null where it is gone: as the server's own look-up does it. */
const withDocument = async (client: MongoClient, event: Uint8Array): Promise<Uint8Array> => {
  const key = find(event, "documentKey");
  if (!WITH_DOCUMENT.has(operationOf(event)) || key === undefined) return event;
  const { db, coll } = namespaceIn(event, "ns");
  const time = readFrom(eventTime(event) ?? 0n);
  const [found] = await readByKeys(client, db, coll, [event.subarray(key.start, key.end)], time);
  const at = writer.open();
  elements.open(event);
  while (elements.next()) {
    // An insert whose document has gone since is one more update of it: its delete follows.
    if (found === undefined && elements.named(OPERATION)) writer.string("operationType", "update");
    else writer.raw(event, elements.nameStart - 1, elements.valueEnd);
  }
  if (found === undefined) writer.null("fullDocument");
  else writer.document("fullDocument", found);
  writer.close(at);
  return writer.take();
};
