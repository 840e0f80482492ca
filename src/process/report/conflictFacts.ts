import type { ConflictRecord } from "#apply/conflict/conflictRecords.ts";
import { bsonText } from "#base/bson/text.ts";
import { keyText } from "./keyOfText.ts";

/** A conflict as JSON tells it; key and versions are extended JSON, a version null where there is none or it is too large. */
export type ConflictFacts = Readonly<{
  id: string;
  route: string;
  partition: number;
  offset: number;
  ns: string;
  key: unknown;
  policy: string;
  winner: ConflictRecord["winner"];
  why: string;
  fields: readonly string[];
  source: unknown;
  target: unknown;
  /** Of the source's event, seconds. */
  clusterTime: number;
  storedAt: Date;
}>;

const parsed = (version: ConflictRecord["source"]): unknown =>
  version === null ? null : JSON.parse(bsonText(version.buffer));

export const conflictFacts = (record: ConflictRecord): ConflictFacts => {
  const { _id, route, partition, offset, ns, policy, winner, why, fields, source, target, at, storedAt } = record;
  return {
    id: _id,
    route,
    partition,
    offset: Number(offset),
    ns,
    key: JSON.parse(keyText(record.documentKey.buffer)),
    policy,
    winner,
    why,
    fields,
    source: parsed(source),
    target: parsed(target),
    clusterTime: at.getHighBitsUnsigned(),
    storedAt,
  };
};
