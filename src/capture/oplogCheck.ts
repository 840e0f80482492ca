import { isFerry } from "#errors/ferryError.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import type { CaptureConfig } from "./connectorConfig.ts";
import { type Finding, finding } from "./finding.ts";
import { type ResumeToken, secondsOf, tokenTime } from "./resumeToken.ts";
import { oplogWindow } from "./sourceProbe.ts";

/** An oplog fuller than this removes its oldest entries soon, so that its window no longer grows. */
const FULL = 0.8;
/** A position in the oldest part of the window is warned about. */
const OLDEST_PART = 0.25;

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

/** Does the stored position stand in the part of the oplog that goes next? */
export const checkOplog = async (
  connector: string,
  capture: CaptureConfig,
  token: ResumeToken,
  source: MongoClient,
): Promise<Finding[]> => {
  const [window, fill] = [await oplogWindow(source), await oplogFill(source)];
  if (window === undefined || fill === undefined || fill < FULL) return [];
  const left = secondsOf(tokenTime(token)) - window.firstSeconds;
  const whole = window.lastSeconds - window.firstSeconds;
  if (left > whole * OLDEST_PART) return [];
  const heartbeat = capture.heartbeatMs > 0 ? "" : "; it has no heartbeats, so an idle position stays where it is";
  const sentence =
    left <= 0
      ? `the stored position of ${connector} has left the source's oplog${heartbeat}`
      : `the stored position of ${connector} leaves the source's oplog in about ${left} s of writes (window ${whole} s)${heartbeat}`;
  return [finding("FERRY_CAPTURE_OPLOG_SHORT", connector, sentence)];
};
