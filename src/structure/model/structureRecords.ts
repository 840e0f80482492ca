import type { Binary, Timestamp } from "bson";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import type { DdlKind } from "#base/flow/types.ts";
import type { CollectionKind } from "#io/mongo/collections.ts";
import type { Held } from "./relax.ts";

/**
 * A collection, view or index that ferry manages, in `ferry.structure` on the target. Field names are part of the
 * product: operators read them in mongosh. `_id.index` is empty for the collection itself.
 */
export type StructureRecord = {
  _id: { ns: string; index: string };
  kind: CollectionKind | "index";
  /** Source namespace. */
  from: string;
  /** Everything that it should be in the end, as canonical extended JSON: for people. */
  wanted: string;
  /** The same as raw BSON, which is what counts; absent in records of an older ferry. */
  exact?: Binary;
  /** What is deferred until finalize. */
  held: readonly Held[];
  /** What a cutover has begun to restore: it is deferred again where the cutover goes back. */
  restored?: readonly Held[];
  /** planned: about to be built; built: there, without what is deferred; final: as on the source; failed: `reason` says why. */
  state: StructureState;
  reason?: string;
  /** Values that keep an index from becoming unique, with the `_id`s of their documents, as text. */
  duplicates?: readonly Duplicate[];
  updatedAt: Date;
};

export type StructureState = "planned" | "built" | "final" | "failed";

export type Duplicate = Readonly<{ values: string; ids: readonly string[]; count: number }>;

/** What all builds were asked for, so that finalize means the same and changes are followed. One record, `_id`: `selection`. */
export type SelectionRecord = { _id: "selection"; asked: readonly NamespaceSpec[] };

/** How far the source was looked at for a namespace. `_id`: target namespace. */
export type FollowRecord = { _id: string; readAt: Timestamp };

/** A change of structure on the source, and what was done about it on the target: `ferry.ddl`. `_id`: `route/partition/offset`. */
export type DdlRecord = {
  _id: string;
  route: string;
  ns: string;
  kind: DdlKind;
  /** clusterTime of the event. */
  at: Timestamp;
  /** What it said, shortened. */
  description: string;
  outcome: "applied" | "held" | "counted";
  /** An operator has approved of what is held. */
  approvedAt?: Date;
  /** What was done on the target. */
  steps: readonly string[];
  notedAt: Date;
};
