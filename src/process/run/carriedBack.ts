import type { CutoverRecord } from "#cutover/machine/record.ts";
import type { Behind, CaptureRecord } from "#source/capture/captureStore.ts";

/** Cutovers that have sent services over, the newest first. */
export type Sent = readonly [CutoverRecord, ...CutoverRecord[]];

/** What a run has to carry back. */
export type Meant = Readonly<{
  behind: Behind;
  /** What they sent over is carried back. */
  records: readonly CutoverRecord[];
  /** Those of them that the run does not know yet. */
  added: readonly CutoverRecord[];
}>;

/** @param known what carries back so far: when that has ended, it has ended for all that was sent over by then */
export const meantOf = (sent: Sent, known: Pick<CaptureRecord, "behind" | "lifecycle"> | undefined): Meant => {
  const newest = sent[0]._id;
  const former = known?.behind ?? { after: 0, newest: 0 };
  const isNew = known?.lifecycle?.finalizedAt !== undefined && newest > former.newest;
  const after = isNew ? former.newest : former.after;
  const records = sent.filter(({ _id }) => _id > after);
  return { behind: { after, newest }, records, added: records.filter(({ _id }) => _id > former.newest) };
};
