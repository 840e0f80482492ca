import type { RangeRecord, RangeStore } from "#source/copy/rangeRecord.ts";
import type { OplogNote } from "#source/stream/oplogRoom.ts";
import type { CaptureRecord, SpoolNote } from "./captureStore.ts";

/** The capture's record, as its owner works with it. Every method throws FERRY_MONGO_*. */
export interface CaptureBook extends RangeStore {
  /** @throws FERRY_FENCED when another process has taken it over */
  renew(): Promise<void>;
  /** Ranges of the record's plan. */
  ranges(record: Pick<CaptureRecord, "generation" | "plan">): Promise<readonly RangeRecord[]>;
  /** Moves position and offsets in one step. @throws FERRY_FENCED */
  save(fields: Partial<Pick<CaptureRecord, "phase" | "token" | "topics" | "streamingAt">>): Promise<void>;
  /** Notes the lag, ms, for status only: nothing depends on it. @throws FERRY_FENCED */
  noteLag(ms: number): Promise<void>;
  /** Notes how much room the oplog leaves, for status only. @throws FERRY_FENCED */
  noteOplog(oplog: OplogNote): Promise<void>;
  /** Notes the spool, null for none, for status only. @throws FERRY_FENCED */
  noteSpool(note: SpoolNote | null): Promise<void>;
}
