import { OPLOG_FULL, type OplogNote } from "#source/stream/oplogRoom.ts";

export type SpoolMode = "auto" | "always" | "never";

/** What is seen at one moment of a copy. */
export type SpoolLook = Readonly<{
  /** Since the copy began in this process. */
  ms: number;
  /** Undefined where the oplog may not be read. */
  oplog: Pick<OplogNote, "fill" | "windowSeconds" | "leftSeconds"> | undefined;
  /** Documents copied in this process, and those that are still to be copied: an estimate. */
  copied: number;
  remaining: number;
}>;

/** A position in the older half of a full oplog is one that may go while the rest is copied. */
const OLDER_PART = 0.5;
/** Neither the rate of the copy nor that of the writes stays what it is. */
const SAFETY = 3;
/** A copy of this length is spooled if the oplog window is unknown, ms. */
const UNKNOWN_MS = 10 * 60_000;

/** At the rate of writes between two looks: when the position leaves the oplog. */
const msUntilLost = (first: SpoolLook, now: SpoolLook): number => {
  const [before, after] = [first.oplog, now.oplog];
  const ms = now.ms - first.ms;
  if (before === undefined || after === undefined || ms <= 0) return Number.POSITIVE_INFINITY;
  const at = (room: number, perMs: number): number => (perMs > 0 ? room / perMs : Number.POSITIVE_INFINITY);
  const beforePosition = after.windowSeconds > 0 ? after.leftSeconds / after.windowSeconds : 0;
  if (after.fill < OPLOG_FULL) return at(1 - after.fill + after.fill * beforePosition, (after.fill - before.fill) / ms);
  return at(after.leftSeconds, (before.leftSeconds - after.leftSeconds) / ms);
};

/** May the copy outlast the oplog? `first` is the copy's first look, `now` the newest. */
export const needsSpool = (first: SpoolLook, now: SpoolLook): boolean => {
  if (now.oplog === undefined) return now.ms >= UNKNOWN_MS;
  const { fill, windowSeconds, leftSeconds } = now.oplog;
  if (fill >= OPLOG_FULL && leftSeconds <= windowSeconds * OLDER_PART) return true;
  const copyMs = now.copied > 0 ? (now.remaining / now.copied) * now.ms : Number.POSITIVE_INFINITY;
  const lostMs = msUntilLost(first, now);
  return Number.isFinite(lostMs) && copyMs * SAFETY > lostMs;
};
