import { DeadLetterStore, type LetterFilter } from "#apply/deadletter/deadLetterStore.ts";
import type { DeadLetterRecord, LetterState } from "#apply/deadletter/letterRecords.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { AuditLog, type Author } from "./auditLog.ts";

/** Which letters are meant. Nothing but `all` means all of them: a filter that was forgotten is not one for everything. */
export type LetterChoice = LetterFilter & Readonly<{ all: boolean }>;

export type LetterVerdict = Exclude<LetterState, "waiting">;

const EVERYTHING = 1_000_000;
/** So many of them are named in the audit log; the others are in its count. */
const NAMED = 100;

/**
 * Notes a decision, which the owners of their partitions carry out. Asked for again, it is the same decision.
 * @returns the letters that it is for
 * @throws FERRY_USAGE where no letter is named, or one that there is not; FERRY_MONGO_*
 */
export const decideLetters = async (
  verdict: LetterVerdict,
  { all, ...filter }: LetterChoice,
  { state, by }: Readonly<{ state: StateDb; by: Author }>,
): Promise<readonly DeadLetterRecord[]> => {
  const { ids, route, code, identity } = filter;
  if (!all && ids === undefined && route === undefined && code === undefined && identity === undefined)
    throw new FerryError("FERRY_USAGE", "name the letters: by ids, reason, route or key, or all of them");
  const store = new DeadLetterStore(state);
  const chosen = await store.list(filter, EVERYTHING);
  const known = new Set(chosen.map(({ _id }) => _id));
  const missing = ids?.find((id) => !known.has(id));
  if (missing !== undefined)
    throw new FerryError("FERRY_USAGE", `there is no dead letter ${missing}; \`ferry dlq list\` shows them`);
  if (chosen.length === 0) return chosen;
  const named = [...known].slice(0, NAMED);
  const before = { letters: known.size, ids: named, codes: [...new Set(chosen.map((letter) => letter.code))] };
  await new AuditLog(state).note(by, { action: "letters.decide", on: "dead letters", before, after: verdict });
  await store.decide({ ids: [...known] }, verdict);
  return chosen;
};
