import type { DeadLetter } from "#apply/deadletter/letterRecords.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import type { LaneMove } from "#apply/lanes/laneCommit.ts";
import { type DeadReason, keyOf } from "#apply/plan/entry.ts";
import type { DeadEntry } from "#apply/plan/plan.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Sink } from "#sink/sink.ts";
import type { Identify } from "./targetCollation.ts";

/** Why the target refused a document, as its letter says it. */
export const reasonOf = async (error: FerryError, sink: Sink): Promise<DeadReason> => ({
  code: error.code,
  detail: error.detail,
  ...(await sink.explain(error)),
});

/** The letter of an event that its lane cannot apply. `ns`: source namespace; `identify`: under which identity its key goes. */
export const letterOf = (
  { entry, reason }: DeadEntry,
  lane: LaneState,
  ns: Namespace,
  identify: Identify,
): DeadLetter => {
  const key = keyOf(entry) ?? null;
  return {
    route: lane.route,
    topic: lane.topic,
    partition: lane.partition,
    offset: entry.record.offset,
    lane: lane.id,
    ns: `${ns.db}.${ns.coll}`,
    identity: key === null ? null : identify(key),
    documentKey: key,
    code: reason.code,
    reason: reason.detail,
    serverCode: reason.serverCode,
    clash: reason.clash,
    recordKey: entry.record.key,
    raw: entry.record.value,
    logTimeMs: entry.record.timestampMs,
  };
};

type Books = Pick<LaneMove, "counts" | "filteredBy">;

/** The books of a batch where some of the dead have their letter already: one letter, counted as dead once. */
export const withKnown = (known: number, books: Books): Books => {
  if (known === 0) return books;
  const { counts, filteredBy } = books;
  return {
    counts: { ...counts, dead: counts.dead - known, filtered: counts.filtered + known },
    filteredBy: { ...filteredBy, "dead-already": known },
  };
};
