import { writeSync } from "node:fs";

/** Durable steps at whose worst moment a test may end or freeze the process. */
export const FAULT_POINTS = [
  /** The log's records are read and handed to the lanes; nothing of them is written. */
  "after-read",
  /** In the lane's transaction: the position is moved, the data is not written. */
  "mid-batch",
  /** A part of a batch's statements is written, and the others are not sent. */
  "mid-bulk",
  /** The data is written, and not committed (without transactions: the position is not moved). */
  "before-commit",
  /** Committed; the client has not been told. */
  "after-commit",
  /** A partition's record names the new owner, its lanes still carry the old epoch. */
  "mid-claim",
  /** A change of the collection itself was met, everything before it is applied, and nothing of it is done. */
  "in-barrier",
  /** It is done, and the lanes still stand before it. */
  "after-barrier",
  /** A drop was met: the other partitions are fenced, the collection is still there. */
  "mid-drop",
  /** A rename was read, and part of the renamed collection is copied again. */
  "mid-rename",
  /** A part of the structure is noted in the journal, and not built. */
  "structure-noted",
  /** It is built, and the journal does not know. */
  "structure-built",
  /** An index refuses new duplicates, and is not unique. */
  "structure-prepared",
  /** A capped collection is rebuilt, and not renamed over the one that it replaces. */
  "mid-capped",
  /** A constraint is restored, and the journal does not have it. */
  "structure-restored",
  /** A run that is finalized: everything is on the target (`ferry capture`: in Kafka), and nothing is restored. */
  "drained",
  /** A state of the cutover is noted, and its act is not begun. */
  "cutover-entered",
  /** Its act is done and its guard has looked, and the next state is not noted. */
  "cutover-acted",
  /** Everything is restored as far as possible, and the end of the run is not noted. */
  "before-finalized",
  /** Capture: the ranges of a copy are noted, and are no capture's yet. */
  "mid-plan",
  /** Capture: a chunk of a range is in the log, its progress is not saved. */
  "mid-range",
  /** Capture: the last chunk of a range is in the log, and the end of the range is not noted. */
  "after-range",
  /** Capture: events of the change stream are read, and not in the log. */
  "after-events",
  /** Capture: events are durable in the spool, the next ones are not requested. */
  "after-spool-frame",
  /** Capture: a segment of the spool is played and its position saved; it is still there. */
  "before-spool-delete",
  /** Capture: a batch is about to be sent to Kafka. */
  "before-produce",
  /** Capture: Kafka has it; the producer has not been told. */
  "after-produce",
  /** Capture: what lies before a position is settled, the position is not saved. */
  "before-checkpoint",
  /** Capture: the position is saved. */
  "after-checkpoint",
  /** A change of a Cognito user is noted, and no call is made. */
  "user-noted",
  /** Its calls are made, and it is not settled. */
  "user-changed",
  /** Everything is saved, and the partition is not released. */
  "before-release",
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

let passed = 0;

/**
 * Does nothing, unless a test asks for it with `FERRY_FAULT=POINT[:N[:stop]]`: then the N-th time that the process comes
 * here it says so on stderr, and is killed (or frozen) as if from outside.
 */
export const faultPoint = (point: FaultPoint): void => {
  const fault = process.env["FERRY_FAULT"];
  if (fault === undefined) return;
  const [wanted, nth = "1", how = "kill"] = fault.split(":");
  if (wanted !== point || ++passed !== Number(nth)) return;
  writeSync(2, `fault point ${point}: ${how}\n`);
  process.kill(process.pid, how === "stop" ? "SIGSTOP" : "SIGKILL");
};
