import type { LetterBook } from "#apply/deadletter/letterBook.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import { type DeadReason, type Entry, keyOf } from "#apply/plan/entry.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { LogRecord, Namespace } from "#base/flow/types.ts";
import { letterOf } from "./laneLetters.ts";

const STORED: DeadReason = { code: "FERRY_APPLY_BEHIND", detail: "its letter was stored before its lane could move" };

/**
 * Without transactions a try may end after it has stored a letter and before it has moved its lane. Its event is dead the next
 * time, too, even if nothing is left of it by then because the document that is looked up has gone: otherwise the letter would
 * stand in the dead letters, and in no lane's books. An event that still has its key is set aside with it, behind its own letter.
 * @param ready the entries that were `seen`, on their way to the plan
 */
export const withStoredLetters = async (
  ready: readonly Entry[],
  seen: readonly Entry[],
  { lane, ns, deadLetters }: Readonly<{ lane: LaneState; ns: Namespace; deadLetters: LetterBook }>,
): Promise<readonly Entry[]> => {
  const vanished = seen.filter((entry, i) => ready[i]?.dead === undefined && hasKey(entry) && !hasKey(ready[i]));
  if (vanished.length === 0) return ready;
  const letters = new Map(
    vanished.map((entry) => [letterOf({ entry, reason: STORED }, lane, ns, identityOf), entry] as const),
  );
  const dead = new Map<LogRecord, Entry>();
  for (const letter of await deadLetters.known([...letters.keys()])) {
    const entry = letters.get(letter);
    if (entry !== undefined) dead.set(entry.record, { ...entry, dead: STORED });
  }
  return ready.map((entry) => dead.get(entry.record) ?? entry);
};

const hasKey = (entry: Entry | undefined): boolean => entry !== undefined && keyOf(entry) !== undefined;
