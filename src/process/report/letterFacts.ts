import type { DeadLetterRecord, LetterState } from "#apply/deadletter/letterRecords.ts";
import { bsonText } from "#base/bson/text.ts";
import { keyText } from "./keyOfText.ts";

/** A dead letter as JSON tells it; keys are extended JSON. */
export type LetterFacts = Readonly<{
  id: string;
  route: string;
  topic: string;
  partition: number;
  offset: number;
  /** The documentKey; null where the record holds none. */
  key: unknown;
  code: string;
  /** Names values of the document where the target did. */
  reason: string;
  serverCode: number | null;
  /** The unique index that refused it, and `{ _id }` of the document that has the value, if it was found. */
  clash: Readonly<{ index: string; other: unknown }> | null;
  attempts: number;
  state: LetterState;
  rawBytes: number;
  storedAt: Date;
}>;

/** `_id` of the document that has the value of a clash. */
export const clashKey = ({ clash }: DeadLetterRecord): string | null =>
  clash?.other == null ? null : keyText(clash.other.buffer);

/** A letter without its record. */
export const letterFacts = (letter: DeadLetterRecord): LetterFacts => {
  const { _id, route, topic, partition, offset, code, reason, serverCode, attempts, state, rawBytes, storedAt } =
    letter;
  const key = letter.documentKey === null ? null : JSON.parse(bsonText(letter.documentKey.buffer));
  const other = clashKey(letter);
  return {
    id: _id,
    route,
    topic,
    partition,
    offset: Number(offset),
    key,
    code,
    reason,
    serverCode,
    clash: letter.clash && { index: letter.clash.index, other: other === null ? null : { _id: JSON.parse(other) } },
    attempts,
    state,
    rawBytes,
    storedAt,
  };
};
