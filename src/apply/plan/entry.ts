import type { ErrorCode } from "#base/errors/catalogue.ts";
import { type ChangeEvent, type Clash, type LogRecord, recordBytes } from "#base/flow/types.ts";

/** Why a record is set aside. */
export type DeadReason = Readonly<{
  code: ErrorCode;
  /** A sentence; of document contents no more than the server tells of a unique value. */
  detail: string;
  /** The target's own error code, where it was the target that refused. */
  serverCode?: number | undefined;
  clash?: Clash | undefined;
}>;

/** One record on its way through a lane: the record, and the event it holds or the reason that it holds none. */
export type Entry = Readonly<{ record: LogRecord; event: ChangeEvent | undefined; dead: DeadReason | undefined }>;

/** Bytes that an entry keeps in memory. */
export const entryBytes = ({ record }: Entry): number => recordBytes(record);

/** Raw documentKey of an entry, where its event has one. */
export const keyOf = ({ event }: Entry): Uint8Array | undefined =>
  event !== undefined && "key" in event ? event.key : undefined;
