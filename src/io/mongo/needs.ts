/**
 * What each part of ferry does on a server: the one table of privileges. A process checks its own part of it at the start,
 * tools/check/mongoRoles.ts makes roles of it, and docs/privileges.md is generated from those. A `db` of "" is every database.
 */
import type { Namespace } from "#base/flow/types.ts";
import type { Need } from "./privileges.ts";

const CLUSTER = { db: "", collection: "", cluster: true } as const;

/** What ferry and the connector need to read a database on the source. */
export const sourceNeeds = (db: string): Need[] => [
  { db, collection: "", actions: ["find", "changeStream"], why: "the copy and the change stream" },
  { db, collection: "", actions: ["listCollections"], why: "what there is to copy" },
  { db, collection: "", actions: ["listIndexes"], why: "the structure" },
];

/** What tells how much time is left; ferry works without. */
export const oplogWishes: readonly Need[] = [
  { db: "local", collection: "oplog.rs", actions: ["find", "collStats"], why: "how far back the oplog reaches" },
];

/** What spares finalize a wait; ferry works without. */
export const noteWishes: readonly Need[] = [
  { ...CLUSTER, actions: ["appendOplogNote"], why: "positions that move on a source at rest" },
];

/** What ferry works without. */
export const sourceWishes: readonly Need[] = [...oplogWishes, ...noteWishes];

/** What ferry needs to remember its positions on the target. */
export const stateNeeds = (stateDb: string): Need[] => [
  {
    db: stateDb,
    collection: "",
    actions: ["find", "insert", "update", "remove", "createCollection", "createIndex", "listCollections"],
    why: "ferry's own state",
  },
];

/** What ferry needs to write a database on the target. */
export const writeNeeds = (db: string): Need[] => [
  { db, collection: "", actions: ["find", "insert", "update", "remove"], why: "the migrated documents" },
  { db, collection: "", actions: ["createCollection", "listCollections"], why: "collections that do not exist yet" },
  { db, collection: "", actions: ["dropCollection"], why: "collections that the source drops or renames" },
  {
    db,
    collection: "",
    actions: ["listIndexes", "createIndex", "dropIndex", "collMod", "convertToCapped"],
    why: "the structure: indexes, options, capped collections built in order",
  },
];

/** What the copy of a time series needs besides; its change stream needs no more than any other. */
export const bucketSourceNeeds = ({ db, coll }: Namespace): Need[] => [
  { db, collection: coll, actions: ["find"], why: "measurements of time series; MongoDB 5.0 and newer" },
];

/** What writing a time series needs besides; dropped are buckets that came when their time series had gone. */
export const bucketTargetNeeds = ({ db, coll }: Namespace): Need[] => [
  {
    db,
    collection: coll,
    actions: ["find", "insert", "update", "remove", "dropCollection"],
    why: "measurements of time series; MongoDB 5.0 and newer",
  },
];

/** What a conflict policy needs besides: `merge` and `keep-target` watch what services write on the target. */
export const foreignWriteNeeds = (db: string): Need[] => [
  { db, collection: "", actions: ["changeStream"], why: "what services of the target write (`conflict`)" },
];

/** What a verification needs on each side. */
export const verifyNeeds = (db: string): Need[] => [
  { db, collection: "", actions: ["find"], why: "the documents that are compared" },
  { db, collection: "", actions: ["listCollections", "listIndexes"], why: "the structure that is compared" },
  {
    db,
    collection: "",
    actions: ["collStats"],
    why: "how large the documents are, so that replies are of a good size",
  },
];

/** What the fence `validator` needs on the source. */
export const validatorNeeds = (db: string): Need[] => [
  { db, collection: "", actions: ["collMod", "listCollections"], why: "the fence validator" },
];

/** What the fence `user-write-block` needs on the source. */
export const writeBlockNeeds: readonly Need[] = [
  { ...CLUSTER, actions: ["setUserWriteBlockMode"], why: "the fence user-write-block; MongoDB 6.0 and newer" },
];

/** What tells that a fence is still up; ferry works without. */
export const writeBlockWishes: readonly Need[] = [
  { ...CLUSTER, actions: ["serverStatus"], why: "whether the fence user-write-block is up" },
];

/** What a cutover needs on a database of the target, to restore what was deferred. */
export const restoreNeeds = (db: string): Need[] => [
  {
    db,
    collection: "",
    actions: ["collMod", "listCollections", "listIndexes"],
    why: "validators and time limits that return",
  },
];

/** What a cutover needs on the target besides: from there changes are carried back. */
export const wayBackNeeds = (stateDb: string): Need[] => [
  {
    db: stateDb,
    collection: "",
    actions: ["find", "changeStream"],
    why: "the position that changes are carried back from",
  },
];

/** What shows on a side whether the other one is carried back to it; `ferry check` works without. @param stateDb of what carries back */
export const carriedBackWishes = (stateDb: string): Need[] => [
  { db: stateDb, collection: "", actions: ["find", "listCollections"], why: "whether changes are carried back" },
];

/** What carrying back needs on the former source behind the fence `user-write-block`. */
export const pastBlockNeeds: readonly Need[] = [
  { ...CLUSTER, actions: ["bypassWriteBlockingMode"], why: "writing behind user-write-block; MongoDB 6.0 and newer" },
];

/** What carrying back needs on the former source behind the fence `validator`. */
export const pastValidatorNeeds = (db: string): Need[] => [
  {
    db,
    collection: "",
    actions: ["bypassDocumentValidation"],
    why: "writing past validators, the fence validator among them",
  },
];
