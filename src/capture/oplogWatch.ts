import { unlessAborted } from "#flow/abort.ts";
import type { Clock } from "#flow/clock.ts";
import type { MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import { oplogFill } from "./oplogCheck.ts";
import { type ResumeToken, secondsOf, tokenTime } from "./resumeToken.ts";
import { oplogWindow } from "./sourceProbe.ts";

/** How often the window is looked at, ms. */
const LOOK_MS = 60_000;
/** An oplog fuller than this removes its oldest entries soon. */
const FULL = 0.8;
/** A position in the oldest part of the window is warned about. */
const OLDEST_PART = 0.25;

export type OplogRoom = Readonly<{
  /** How far the oplog reaches back behind its newest entry, seconds of writes. */
  windowSeconds: number;
  /** How much of it lies before the position: seconds of writes that may still be removed. */
  leftSeconds: number;
  /** Is the position in the part that goes next? */
  short: boolean;
}>;

/** Undefined where the user may not read `local`, and on a sharded cluster. @throws FERRY_MONGO_* */
export const oplogRoom = async (source: MongoClient, token: ResumeToken): Promise<OplogRoom | undefined> => {
  const [window, fill] = [await oplogWindow(source), await oplogFill(source)];
  if (window === undefined || fill === undefined) return undefined;
  const windowSeconds = window.lastSeconds - window.firstSeconds;
  const leftSeconds = secondsOf(tokenTime(token)) - window.firstSeconds;
  return { windowSeconds, leftSeconds, short: fill >= FULL && leftSeconds <= windowSeconds * OLDEST_PART };
};

export type OplogWatchDeps = Readonly<{
  source: MongoClient;
  token: () => ResumeToken;
  clock: Clock;
  logger: Logger;
}>;

/** Shows the oplog's window at the start, and warns while the position is about to fall off it. */
export const watchOplog = async (
  { source, token, clock, logger }: OplogWatchDeps,
  ended: AbortSignal,
): Promise<void> => {
  for (let isFirst = true; !ended.aborted; isFirst = false) {
    // A source that is away is met by the reader, which says so.
    const room = await unlessAborted(
      oplogRoom(source, token()).catch(() => undefined),
      ended,
    );
    if (room !== undefined) {
      const { windowSeconds, leftSeconds, short } = room;
      const left = `the oplog reaches back ${windowSeconds} s, ${Math.max(0, leftSeconds)} s of it before the position`;
      if (short)
        logger.warn(
          { stage: "capture", code: "FERRY_CAPTURE_OPLOG_SHORT" },
          `${left}: enlarge it, or changes will be lost`,
        );
      else if (isFirst) logger.info({ stage: "capture" }, left);
    }
    await clock.sleep(LOOK_MS, ended).catch(() => undefined); // woken by the end
  }
};
