import type { ConflictRecord } from "#apply/conflict/conflictRecords.ts";
import type { ConflictHead } from "#apply/conflict/conflictStore.ts";
import { bsonText } from "#base/bson/text.ts";
import { keyText } from "./keyOfText.ts";

/** A conflict as JSON tells it, without its versions; the key is extended JSON. */
export type ConflictHeadFacts = Readonly<{
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
  /** Of the source's event, seconds. */
  clusterTime: number;
  storedAt: Date;
}>;

/** With both versions as extended JSON; null where there is none, or it is too large. */
export type ConflictFacts = ConflictHeadFacts & Readonly<{ source: unknown; target: unknown }>;

const parsed = (version: ConflictRecord["source"]): unknown =>
  version === null ? null : JSON.parse(bsonText(version.buffer));

export const conflictHeadFacts = (record: ConflictHead): ConflictHeadFacts => {
  const { _id, route, partition, offset, ns, policy, winner, why, fields, at, storedAt } = record;
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
    clusterTime: at.getHighBitsUnsigned(),
    storedAt,
  };
};

export const conflictFacts = (record: ConflictRecord): ConflictFacts => ({
  ...conflictHeadFacts(record),
  source: parsed(record.source),
  target: parsed(record.target),
});
