import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import type { CaptureBook } from "./captureBook.ts";
import type { CaptureRecord, SpoolNote } from "./captureStore.ts";

/** How often the spool is looked at, ms. */
const LOOK_MS = 1000;

export type SpoolWatchDeps = Readonly<{
  spool: EventSpool;
  store: Pick<CaptureBook, "noteSpool">;
  record: CaptureRecord;
  clock: Clock;
}>;

const noteOf = (spool: EventSpool): SpoolNote | null =>
  spool.isEmpty && spool.full === undefined
    ? null
    : { bytes: spool.bytes, limitBytes: spool.limitBytes, newest: spool.newest, full: spool.full ?? null };

/** Shows the spool in the capture's record, for status only: nothing depends on it. */
export const watchSpool = async (
  { spool, store, record, clock }: SpoolWatchDeps,
  ended: AbortSignal,
  hard: AbortSignal,
): Promise<void> => {
  let noted = record.spool == null ? "null" : "";
  const look = async (): Promise<void> => {
    const note = noteOf(spool);
    const text = JSON.stringify(note);
    if (text === noted) return;
    // A capture that was taken over, and an unreachable target, are handled where the position is saved.
    await store.noteSpool(note).then(
      () => {
        noted = text;
      },
      () => undefined,
    );
  };
  await every(LOOK_MS, { clock, ended: AbortSignal.any([ended, hard]), first: "later" }, look);
  if (!hard.aborted) await look(); // what the end leaves there
};
