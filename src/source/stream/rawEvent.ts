import { rawField, textIn } from "#base/bson/rawValue.ts";
import { BsonType, find } from "#base/bson/walk.ts";
import type { Namespace } from "#base/flow/types.ts";
import { ResumeToken } from "./resumeToken.ts";

/** What a change stream's reply says of one event, read from its raw BSON. */

/** `operationType`; empty where there is none. */
export const operationOf = (event: Uint8Array): string => textIn(event, "operationType");

/** The event's own position; undefined where it has none. */
export const ownToken = (event: Uint8Array): ResumeToken | undefined => {
  const id = rawField(event, "_id");
  return id?.type === BsonType.object ? new ResumeToken(id.bytes) : undefined;
};

/** `clusterTime` as 64 bits; undefined where it has none. */
export const eventTime = (event: Uint8Array): bigint | undefined => {
  const found = find(event, "clusterTime");
  if (found?.type !== BsonType.timestamp) return undefined;
  return Buffer.from(event.buffer, event.byteOffset, event.byteLength).readBigUInt64LE(found.start);
};

/** A namespace in a field: `ns`, or `to` of a rename. Both parts empty where there is none. */
export const namespaceIn = (event: Uint8Array, field: string): Namespace => {
  const names = rawField(event, field);
  if (names?.type !== BsonType.object) return { db: "", coll: "" };
  return { db: textIn(names.bytes, "db"), coll: textIn(names.bytes, "coll") };
};
