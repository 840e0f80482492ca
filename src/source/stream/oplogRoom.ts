import { isFerry } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { type ResumeToken, secondsOf, tokenTime } from "./resumeToken.ts";
import { oplogWindow } from "./sourceProbe.ts";

/** How the source's oplog stood when it was last looked at. */
export type OplogNote = {
  /** How full it is, 0–1: a full one removes its oldest entries. */
  fill: number;
  /** How far it reaches back behind its newest entry, seconds of writes. */
  windowSeconds: number;
  /** How much of it lies before the position that is needed: seconds of writes that may still be removed. */
  leftSeconds: number;
  /** Is that position in the part that goes next? */
  short: boolean;
};

/** An oplog fuller than this removes its oldest entries soon, so that its window no longer grows. */
export const OPLOG_FULL = 0.8;
/** A position in the oldest part of the window, this much of it, is warned about. */
export const OPLOG_OLDEST = 0.25;

/** How full the oplog is, 0–1; undefined where it may not be read. */
export const oplogFill = async (source: MongoClient): Promise<number | undefined> => {
  try {
    const [stats] = await translated("reading the oplog's size", () =>
      source
        .db("local")
        .collection("oplog.rs")
        .aggregate<{ storageStats: { size: number; maxSize: number } }>(
          [{ $collStats: { storageStats: {} } }, { $project: { "storageStats.size": 1, "storageStats.maxSize": 1 } }],
          { readConcern: { level: "local" } },
        )
        .toArray(),
    );
    return stats === undefined ? undefined : Number(stats.storageStats.size) / Number(stats.storageStats.maxSize);
  } catch (error) {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE", "FERRY_MONGO_COMMAND")) return undefined;
    throw error;
  }
};

/** How much of the oplog lies before a position. Undefined where the user may not read `local`, and on a sharded cluster. @throws FERRY_MONGO_* */
export const oplogRoom = async (source: MongoClient, token: ResumeToken): Promise<OplogNote | undefined> => {
  const [window, fill] = [await oplogWindow(source), await oplogFill(source)];
  if (window === undefined || fill === undefined) return undefined;
  const windowSeconds = window.lastSeconds - window.firstSeconds;
  const leftSeconds = secondsOf(tokenTime(token)) - window.firstSeconds;
  return { fill, windowSeconds, leftSeconds, short: fill >= OPLOG_FULL && leftSeconds <= windowSeconds * OPLOG_OLDEST };
};
