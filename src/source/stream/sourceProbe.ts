import type { Timestamp } from "bson";
import { assert, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { isOfServer, type Namespace } from "#base/flow/types.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { isHistoryLost } from "#io/mongo/serverCodes.ts";
import { ChangeCursor } from "./changeCursor.ts";
import { namespaceIn, operationOf, ownToken } from "./rawEvent.ts";
import { type ResumeToken, tokenTime } from "./resumeToken.ts";
import type { Watch } from "./watchLevel.ts";

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
    await using cursor = await ChangeCursor.open({ client, watch, from: "now", phase: "noting the start position" });
    const { token } = await cursor.next({ batchSize: 0 });
    await majorityAfter(client, watch, cursor.openedAt);
    return { token, at: cursor.openedAt };
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
  pipeline: readonly Document[];
  streamOptions: Readonly<Record<string, unknown>>;
  /** At most this many events. */
  limit: number;
  /** Gives up after this long, ms. */
  maxMs: number;
  /** Ends behind this clusterTime; undefined: with what there is. A busy source has no end otherwise. */
  until?: bigint | undefined;
  clock: Clock;
}>;

/** @throws FERRY_BUG where an event has no position */
const toSeen = (event: Uint8Array): SeenEvent => {
  const token = ownToken(event);
  assert(token !== undefined, "an event of a change stream has a resume token");
  return { token, op: operationOf(event), ns: namespaceIn(event, "ns"), at: tokenTime(token) };
};

const PROJECT = { $project: { _id: 1, operationType: 1, ns: 1 } };

/** How long the server may wait for an event before it says that there is none, ms. */
const WAIT_MS = 200;

/**
 * The events after a position, by ferry's own change stream, bodies left on the server.
 * @throws FERRY_MONGO_*; `isHistoryLost` tells that the oplog no longer reaches back to the position.
 */
export const changesAfter = async (client: MongoClient, request: ChangesRequest): Promise<SeenChanges> => {
  const { watch, after, pipeline, streamOptions: stream, limit, maxMs, until, clock } = request;
  const deadline = clock.now() + maxMs;
  const phase = "looking for changes after the connector's position";
  const from = { after };
  const options = { client, watch, from, stream, pipeline: [...pipeline, PROJECT], batchSize: limit, phase };
  await using cursor = await ChangeCursor.open(options);
  const events: SeenEvent[] = [];
  let end = after;
  for (let isFirst = true; ; isFirst = false) {
    const { documents, token, ended } = await cursor.next({ batchSize: limit - events.length, maxTimeMS: WAIT_MS });
    events.push(...documents.map(toSeen));
    // A dropped database closes its streams. `end` is after it then: the connector reopens "from now", the next look there.
    // An empty reply whose position stands still: the server waited at the end of its oplog.
    const complete = ended || (!isFirst && documents.length === 0 && token.isAt(end));
    end = token;
    const isThere = until !== undefined && tokenTime(token) > until;
    if (complete || isThere || events.length >= limit || clock.now() >= deadline) return { events, complete, end };
  }
};

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

/** Collections (no views) that exist in the watched scope; the server's own databases are never carried, and rarely may be listed. */
export const listNamespaces = (client: MongoClient, watch: Watch): Promise<Namespace[]> =>
  translated("listing the source's collections", async () => {
    const dbs =
      watch.level === "cluster"
        ? (await client.db("admin").admin().listDatabases({ nameOnly: true })).databases
            .map(({ name }) => name)
            .filter((db) => !isOfServer({ db, coll: "" }))
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
