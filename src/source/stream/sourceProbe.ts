import type { Timestamp } from "bson";
import { assert, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { ClientSession, Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { isHistoryLost } from "#io/mongo/serverCodes.ts";
import { ResumeToken, type StoredToken, tokenTime } from "./resumeToken.ts";
import type { Watch } from "./watchLevel.ts";

type Scope = Readonly<{ db: string; target: string | 1; options: Readonly<Record<string, unknown>> }>;

const scopeOf = (watch: Watch): Scope => {
  if (watch.level === "cluster") return { db: "admin", target: 1, options: { allChangesForCluster: true } };
  return { db: watch.db, target: watch.level === "collection" ? watch.coll : 1, options: {} };
};

type Cursor = Readonly<{ id: { toString(): string }; postBatchResumeToken?: StoredToken } & Record<string, unknown>>;

/** A cursor's id is an int64; one that happens to fit a double would be sent back as one, which the server refuses. */
const KEEP_IDS = { promoteLongs: false } as const;

/** Opens a change stream by command, so that the server's position after each batch is seen. The caller kills it. */
const open = async (
  client: MongoClient,
  watch: Watch,
  session: ClientSession,
  stream: Readonly<Record<string, unknown>>,
  pipeline: readonly object[],
  batchSize: number,
): Promise<{ cursor: Cursor; operationTime: Timestamp; collection: string }> => {
  const { db, target, options } = scopeOf(watch);
  const reply = await client.db(db).command(
    {
      aggregate: target,
      pipeline: [{ $changeStream: { ...options, ...stream } }, ...pipeline],
      cursor: { batchSize },
      readConcern: { level: "majority" },
    },
    { session, ...KEEP_IDS },
  );
  const cursor = reply["cursor"] as Cursor;
  const collection = String(cursor["ns"]).slice(db.length + 1);
  return { cursor, operationTime: reply["operationTime"] as Timestamp, collection };
};

const kill = async (client: MongoClient, watch: Watch, collection: string, cursor: Cursor): Promise<void> => {
  if (cursor.id.toString() === "0") return;
  await client.db(scopeOf(watch).db).command({ killCursors: collection, cursors: [cursor.id] });
};

/** Where the source stands now: a token that every later event comes after, and its cluster time. */
export type StartPoint = Readonly<{ token: ResumeToken; at: Timestamp }>;

/**
 * Notes the start position: a high-water-mark token, so it can be resumed from in any scope, and every write that is
 * acknowledged from now on comes after it. Returns only when the position is majority-committed, so that no later
 * majority read can be of a state before it.
 * @throws FERRY_MONGO_*
 */
export const noteStart = (client: MongoClient, watch: Watch): Promise<StartPoint> =>
  translated("noting the start position on the source", async () => {
    const session = client.startSession();
    try {
      const { cursor, operationTime, collection } = await open(client, watch, session, {}, [], 0);
      await kill(client, watch, collection, cursor);
      const noted = cursor.postBatchResumeToken;
      assert(noted !== undefined, "a change stream's first reply has a postBatchResumeToken since MongoDB 4.0.7");
      await majorityAfter(client, watch, operationTime);
      return { token: ResumeToken.stored(noted), at: operationTime };
    } finally {
      await session.endSession();
    }
  });

/** The source's cluster time: every write that was acknowledged by now is not later. @throws FERRY_MONGO_* */
export const clusterTime = async (client: MongoClient): Promise<Timestamp> => {
  const reply = await translated("asking the source for its time", () => client.db("admin").command({ hello: 1 }));
  return reply["operationTime"] as Timestamp;
};

/** What the source's own clock shows, ms since the epoch. @throws FERRY_MONGO_* */
export const clockOf = async (client: MongoClient): Promise<number> => {
  const reply = await translated("asking the source for its clock", () => client.db("admin").command({ hello: 1 }));
  return (reply["localTime"] as Date).getTime();
};

/** Waits until the source's majority view has reached a time. */
const majorityAfter = async (client: MongoClient, watch: Watch, at: Timestamp): Promise<void> => {
  await client.db(watch.db === "" ? "admin" : watch.db).command({
    find: watch.coll === "" ? "ferry.barrier" : watch.coll, // any namespace serves, it need not exist
    filter: { _id: { $in: [] } },
    limit: 1,
    readConcern: { level: "majority", afterClusterTime: at },
  });
};

/** One event, without its body. */
export type SeenEvent = Readonly<{
  token: ResumeToken;
  op: string;
  ns: Namespace;
  /** Cluster time as 64 bits. */
  at: bigint;
}>;

export type SeenChanges = Readonly<{
  events: readonly SeenEvent[];
  /** Everything up to `end` was seen: the source had no more when it was asked, or has closed the stream there. */
  complete: boolean;
  end: ResumeToken;
}>;

export type ChangesRequest = Readonly<{
  watch: Watch;
  after: ResumeToken;
  pipeline: readonly object[];
  streamOptions: Readonly<Record<string, unknown>>;
  /** At most this many events. */
  limit: number;
  /** Stops looking after this long, ms. */
  maxMs: number;
  clock: Clock;
}>;

const toSeen = (event: Document): SeenEvent => {
  const token = ResumeToken.stored(event["_id"] as StoredToken);
  return {
    token,
    op: String(event["operationType"]),
    ns: { db: String(event["ns"]?.db ?? ""), coll: String(event["ns"]?.coll ?? "") },
    at: tokenTime(token),
  };
};

const positionOf = ({ postBatchResumeToken: token }: Cursor, otherwise: ResumeToken): ResumeToken =>
  token === undefined ? otherwise : ResumeToken.stored(token);

const PROJECT = { $project: { _id: 1, operationType: 1, ns: 1 } };

/**
 * The events after a position, by ferry's own change stream, bodies left on the server.
 * @throws FERRY_MONGO_*; `isHistoryLost` tells that the oplog no longer reaches back to the position.
 */
export const changesAfter = (client: MongoClient, request: ChangesRequest): Promise<SeenChanges> =>
  translated("looking for changes after the connector's position", async () => {
    const { watch, after, limit, maxMs, clock } = request;
    const deadline = clock.now() + maxMs;
    const session = client.startSession();
    try {
      const stream = { startAfter: after, ...request.streamOptions };
      const { cursor, collection } = await open(client, watch, session, stream, [...request.pipeline, PROJECT], limit);
      let batch = (cursor["firstBatch"] ?? []) as Document[];
      let end = positionOf(cursor, after);
      let live = cursor;
      const events: SeenEvent[] = [];
      for (let complete = false; ; ) {
        events.push(...batch.map(toSeen));
        // A dropped database closes its streams. `end` is behind it then: the connector reopens "from now", the next look there.
        complete ||= live.id.toString() === "0";
        if (complete || events.length >= limit || clock.now() >= deadline) {
          await kill(client, watch, collection, live);
          return { events: events.slice(0, limit), complete, end };
        }
        const reply = await client
          .db(scopeOf(watch).db)
          .command({ getMore: cursor.id, collection, batchSize: limit, maxTimeMS: 200 }, { session, ...KEEP_IDS });
        live = reply["cursor"] as Cursor;
        batch = (live["nextBatch"] ?? []) as Document[];
        const before = end;
        end = positionOf(live, end);
        // An empty batch whose position stands still: the server waited at the end of its oplog.
        complete = batch.length === 0 && end.isAt(before);
      }
    } finally {
      await session.endSession();
    }
  });

/** Can the source still be resumed from this position? @throws FERRY_MONGO_* for anything but lost history. */
export const canResume = async (
  client: MongoClient,
  watch: Watch,
  after: ResumeToken,
  clock: Clock,
): Promise<boolean> => {
  const request = { watch, after, pipeline: [], streamOptions: {}, limit: 1, maxMs: 0, clock };
  try {
    await changesAfter(client, request);
    return true;
  } catch (error) {
    if (isHistoryLost(error)) return false;
    throw error;
  }
};

/** Collections (no views) that exist in the watched scope. */
export const listNamespaces = (client: MongoClient, watch: Watch): Promise<Namespace[]> =>
  translated("listing the source's collections", async () => {
    const dbs =
      watch.level === "cluster"
        ? (await client.db("admin").admin().listDatabases({ nameOnly: true })).databases.map(({ name }) => name)
        : [watch.db];
    const lists = await Promise.all(
      dbs.map(async (db) => {
        const found = await client.db(db).listCollections({ type: "collection" }, { nameOnly: true }).toArray();
        return found.map(({ name }) => ({ db, coll: name }));
      }),
    );
    return lists.flat();
  });

/** The interval that the oplog covers, seconds since the epoch. */
export type OplogWindow = Readonly<{ firstSeconds: number; lastSeconds: number }>;

/** undefined where the user may not read `local` (or this is no replica set member). */
export const oplogWindow = async (client: MongoClient): Promise<OplogWindow | undefined> => {
  const edge = async (order: 1 | -1): Promise<number> => {
    const found = await translated("reading the oplog's window", () =>
      client
        .db("local")
        .collection("oplog.rs")
        .findOne({}, { sort: { $natural: order }, projection: { ts: 1 }, readConcern: { level: "local" } }),
    );
    return (found?.["ts"] as Timestamp | undefined)?.getHighBits() ?? 0;
  };
  try {
    const [firstSeconds, lastSeconds] = [await edge(1), await edge(-1)];
    return firstSeconds === 0 ? undefined : { firstSeconds, lastSeconds };
  } catch (error) {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE", "FERRY_MONGO_COMMAND")) return undefined;
    throw error;
  }
};
