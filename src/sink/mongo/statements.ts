/**
 * Write statements as raw BSON, assembled around document bytes that are never decoded.
 * Shapes: the server's `update` and `delete` commands (`{ q, u, upsert }`, `{ q, limit }`).
 */
import { documentOf, head } from "#base/bson/documentParts.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";
import type { TargetOp, WriteOp } from "#base/flow/types.ts";

const ID = Buffer.from("_id");
const DOLLAR = 0x24;
const cursor = new Cursor();

const startsWithDollar = (document: Uint8Array): boolean => document.length > 5 && document[5] === DOLLAR;

const Q = head(BsonType.object, "q");
const U = head(BsonType.object, "u");
const U_PIPELINE = head(BsonType.array, "u");
const STAGE = head(BsonType.object, "0");
const REPLACE_WITH = head(BsonType.object, "$replaceWith");
const LITERAL = head(BsonType.object, "$literal");
const EQ = head(BsonType.object, "$eq");
const ID_OBJECT = head(BsonType.object, "_id");
const UPSERT = Buffer.concat([head(BsonType.boolean, "upsert"), Buffer.from([1])]);
const LIMIT_ONE = Buffer.concat([head(BsonType.int32, "limit"), Buffer.from([1, 0, 0, 0])]);

/**
 * The filter for one document: `{ _id }` of a documentKey. Shard key fields are left out (a target may be sharded
 * otherwise), and an `_id` whose first field looks like an operator is compared, not interpreted.
 */
export const idFilter = (key: Uint8Array): Uint8Array => {
  cursor.open(key);
  if (!cursor.seek(ID)) return key;
  const value = key.subarray(cursor.valueStart, cursor.valueEnd);
  if (cursor.type === BsonType.object && startsWithDollar(value)) return documentOf(ID_OBJECT, documentOf(EQ, value));
  if (cursor.nameStart === 5 && cursor.valueEnd === key.length - 1) return key;
  return documentOf(key.subarray(cursor.nameStart - 1, cursor.valueEnd));
};

const isZero = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
};

/**
 * How a document's own names and values limit the way it can be written:
 * - `timestamp`: a top-level Timestamp(0,0), which the server replaces by its clock on insert and on replacement; only
 *   a pipeline with `$literal` leaves it alone;
 * - `dollar`: a top-level name that starts with `$`, which a replacement refuses and an insert takes.
 * Neither is written over a document that is there, but after its deletion: a pipeline that updates makes the server
 * compute a difference, and mongod 6.0 aborts (invariant in document_diff_serialization.cpp) where one of the two
 * documents has a name twice.
 * Source: MongoDB manual, "Timestamps" and "Field Names with Periods and Dollar Signs".
 */
export const oddity = (document: Uint8Array): "timestamp" | "dollar" | undefined => {
  let found: "dollar" | undefined;
  cursor.open(document);
  while (cursor.next()) {
    if (cursor.type === BsonType.timestamp && isZero(document, cursor.valueStart, cursor.valueEnd)) return "timestamp";
    if (document[cursor.nameStart] === DOLLAR) found = "dollar";
  }
  return found;
};

/** `{ q: { _id }, u: <whole document>, upsert: true }`, for a document without oddity. */
export const replaceStatement = (key: Uint8Array, document: Uint8Array): Uint8Array =>
  documentOf(Q, idFilter(key), U, document, UPSERT);

/** `{ q: { _id }, u: [{ $replaceWith: { $literal: <document> } }], upsert: true }`, for a key that is not there. */
export const createStatement = (key: Uint8Array, document: Uint8Array): Uint8Array =>
  documentOf(
    Q,
    idFilter(key),
    U_PIPELINE,
    documentOf(STAGE, documentOf(REPLACE_WITH, documentOf(LITERAL, document))),
    UPSERT,
  );

/** `{ q: { _id }, u: <modifiers> }`: changes a document that is there, creates none. */
export const modifyStatement = (key: Uint8Array, modifiers: Uint8Array): Uint8Array =>
  documentOf(Q, idFilter(key), U, modifiers);

/** `{ q: { _id }, limit: 1 }`. */
export const deleteStatement = (key: Uint8Array): Uint8Array => documentOf(Q, idFilter(key), LIMIT_ONE);

/**
 * One batch as the server's commands take it, in the order of these lists; every element is raw BSON. A key is in one list
 * only, save for a document that must be deleted before it can be written.
 */
export type Statements = Readonly<{
  /** `{ q, limit: 1 }`. */
  deletes: readonly Uint8Array[];
  /** Whole documents. */
  inserts: readonly Uint8Array[];
  /** `{ q, u, upsert }`, run in order. */
  updates: readonly Uint8Array[];
}>;

type Lists = { deletes: Uint8Array[]; inserts: Uint8Array[]; updates: Uint8Array[] };

/** Odd documents are deleted first and then written as new ones: see `oddity`. */
const addWrite = (lists: Lists, op: WriteOp): void => {
  const { doc, fresh } = op;
  const odd = oddity(doc);
  if (odd === undefined) {
    if (fresh) lists.inserts.push(doc);
    else lists.updates.push(replaceStatement(op.key, doc));
    return;
  }
  if (odd === "timestamp" || !fresh) lists.deletes.push(deleteStatement(op.key));
  if (odd === "timestamp") lists.updates.push(createStatement(op.key, doc));
  else lists.inserts.push(doc);
};

/** The statements of a batch's operations. */
export const statementsOf = (ops: readonly TargetOp[]): Statements => {
  const lists: Lists = { deletes: [], inserts: [], updates: [] };
  for (const op of ops) {
    if (op.op === "write") addWrite(lists, op);
    else if (op.op === "delete") lists.deletes.push(deleteStatement(op.key));
    else for (const modifiers of op.changes) lists.updates.push(modifyStatement(op.key, modifiers));
  }
  return lists;
};
