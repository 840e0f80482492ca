import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Logger } from "#base/observe/log.ts";
import type { Sample, Vitals } from "#base/observe/vitals.ts";
import type { OplogNote } from "#source/stream/oplogRoom.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { CaptureBook } from "./captureBook.ts";
import type { CaptureSource } from "./captureSource.ts";

/** How often the window is looked at, ms. */
const LOOK_MS = 60_000;

export type OplogWatchDeps = Readonly<{
  source: Pick<CaptureSource, "room">;
  store: Pick<CaptureBook, "noteOplog">;
  /** The position from which the source must still be readable. */
  token: () => ResumeToken;
  clock: Clock;
  logger: Logger;
  vitals: Vitals;
}>;

function* roomSamples({ fill, windowSeconds, leftSeconds }: OplogNote): Generator<Sample> {
  yield ["ferry_oplog_window_seconds", {}, windowSeconds];
  yield ["ferry_oplog_left_seconds", {}, Math.max(0, leftSeconds)];
  yield ["ferry_oplog_fill_ratio", {}, fill];
}

/** Shows the oplog's window at the start and in the capture's record, and warns while the position is about to fall off it. */
export const watchOplog = async (
  { source, store, token, clock, logger, vitals }: OplogWatchDeps,
  ended: AbortSignal,
): Promise<void> => {
  let isFirst = true;
  let noted: OplogNote | undefined;
  using _shown = vitals.show(() => (noted === undefined ? [] : roomSamples(noted)));
  await every(LOOK_MS, { clock, ended, first: "now" }, async () => {
    // A source that is away is met by the reader, which says so.
    const room = await unlessAborted(
      source.room(token()).catch(() => undefined),
      ended,
    );
    if (room !== undefined) {
      noted = room;
      // A capture that was taken over, and an unreachable target, are handled where the position is saved.
      await store.noteOplog(room).catch(() => undefined);
      const { windowSeconds, leftSeconds, short } = room;
      const left = `the oplog reaches back ${windowSeconds} s, ${Math.max(0, leftSeconds)} s of it before the position`;
      if (short)
        logger.warn(
          { stage: "capture", code: "FERRY_SOURCE_OPLOG_SHORT" },
          `${left}: enlarge it, or changes will be lost`,
        );
      else if (isFirst) logger.info({ stage: "capture" }, left);
    }
    isFirst = false;
  });
};
