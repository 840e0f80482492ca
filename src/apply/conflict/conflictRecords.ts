/** What ferry remembers of the target's own writers, in its database on the target. Field names are part of the product. */
import type { Binary, Long, Timestamp } from "bson";

/** Which document: the route's name, and the identity of its `_id` (`bson/identity.ts`). */
export type MarkId = { route: string; key: Binary };

/**
 * A document that another client than ferry wrote, in `touched`. Every worker that watches notes every such write; noting
 * one twice changes nothing.
 */
export type Mark = {
  _id: MarkId;
  /** Raw documentKey. */
  documentKey: Binary;
  /** clusterTime of the newest such write. */
  at?: Timestamp;
  /** clusterTime of the newest that wrote or removed the whole document. */
  whole?: Timestamp;
  /** clusterTime of the newest that wrote or removed the field of a path, as `fieldKey` writes it. */
  fields?: Record<string, Timestamp>;
  /** Was there before the route began, as the seeding of this number found it. */
  seed?: Long;
};

/** Up to which time the marks of a document have been dealt with, in `settled`. Written by its lane only. */
export type Settled = { _id: MarkId; at: Timestamp };

/** A source's version and a target's version of one document that could not both be. `_id`: `route/partition/offset`. */
export type ConflictRecord = {
  _id: string;
  route: string;
  partition: number;
  offset: Long;
  ns: string;
  key: Binary;
  /** Raw documentKey. */
  documentKey: Binary;
  policy: string;
  winner: "source" | "target";
  why: string;
  /** Paths that the two did not agree on; empty where it was the whole document. */
  fields: string[];
  /** The source's document as the route carries it, raw; null where the source deleted it, or sent only a delta. */
  source: Binary | null;
  /** The target's document before, raw; null where the target had deleted it. */
  target: Binary | null;
  /** Sizes in bytes; a version larger than `KEPT_BYTES` is not kept itself. */
  sourceBytes: number;
  targetBytes: number;
  /** clusterTime of the event. */
  at: Timestamp;
  storedAt: Date;
};

/** Two versions and their record must fit one document. */
export const KEPT_BYTES = 7 * 1024 * 1024;

/** A path as a name inside a record: without dots and dollars. */
export const fieldKey = (name: string): string =>
  name.replace(/[.$%\0]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`);

export const fieldName = (key: string): string =>
  key.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
