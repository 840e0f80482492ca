/**
 * Raw BSON to the server, untouched. The driver's `DocumentSequence` (an OP_MSG kind 1 section) is not public API: this
 * is the only file that uses it, `test/contract/rawWrites.test.ts` fails loudly when an upgrade changes it, and
 * without it the same bytes are in the command itself, which has a lower size limit.
 */
import { createRequire } from "node:module";
import type { Db, Document } from "mongodb";
import { type RawValue, rawDocument, rawField } from "#base/bson/rawValue.ts";
import { int32At } from "#base/bson/walk.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { translated } from "./errors.ts";
import { failedRule } from "./failedRule.ts";
import { within } from "./session.ts";

type DriverSequence = { push(document: Document, raw: Uint8Array): number };
type DriverSequenceClass = new (field: string) => DriverSequence;

const loadSequence = (): DriverSequenceClass | undefined => {
  try {
    const found = (
      createRequire(import.meta.url)("mongodb/lib/cmap/commands.js") as { DocumentSequence?: DriverSequenceClass }
    ).DocumentSequence;
    return typeof found?.prototype.push === "function" ? found : undefined;
  } catch {
    return undefined; // the contract test says so
  }
};
const DocumentSequence = loadSequence();

/** Is the sequence there? */
export const rawPathAvailable = (): boolean => DocumentSequence !== undefined;

/** Below the server's 48,000,000-byte message limit, or its limit of one document, with room for the command itself. */
const MAX_MESSAGE_BYTES = DocumentSequence === undefined ? 16_000_000 : 40_000_000;
/** Server limit `maxWriteBatchSize`. */
const MAX_STATEMENTS = 100_000;
const NO_DOCUMENT: Document = Object.freeze({});

const section = (field: string, raw: readonly Uint8Array[], from: number, to: number): unknown => {
  if (DocumentSequence === undefined) return raw.slice(from, to).map(rawDocument);
  const sequence = new DocumentSequence(field);
  for (let i = from; i < to; i++) sequence.push(NO_DOCUMENT, raw[i] as Uint8Array);
  return sequence;
};

/** One refused statement. `index` is its place in the whole list; codes as the server numbers them. */
export type WriteError = Readonly<{
  index: number;
  code: number;
  message: string;
  /** Of the unique index that it clashes with, and the value that is there already. */
  keyPattern: RawValue | undefined;
  keyValue: RawValue | undefined;
}>;
export type WriteOutcome = Readonly<{ n: number; errors: readonly WriteError[] }>;
export type WriteCall = Readonly<{ db: Db; coll: string; tx?: StateTx | undefined; ordered: boolean }>;

type Verb = Readonly<{ command: "insert" | "update" | "delete"; field: "documents" | "updates" | "deletes" }>;

/** The values in them are documents' own. */
const RAW_VALUES = { fieldsAsRaw: { writeErrors: true, upserted: true } } as const;

const int32In = (error: Uint8Array, name: string): number => {
  const { bytes } = rawField(error, name) ?? {};
  return bytes?.length === 4 ? int32At(bytes, 0) : Number.NaN;
};

const textIn = (error: Uint8Array, name: string): string =>
  Buffer.from(rawField(error, name)?.bytes ?? [])
    .toString("utf8", 4)
    .slice(0, -1);

const errorsOf = (reply: Document, offset: number): WriteError[] =>
  ((reply["writeErrors"] ?? []) as Uint8Array[]).map((error) => ({
    index: offset + int32In(error, "index"),
    code: int32In(error, "code"),
    message: `${textIn(error, "errmsg")}${failedRule(rawField(error, "errInfo")?.bytes)}`,
    keyPattern: rawField(error, "keyPattern"),
    keyValue: rawField(error, "keyValue"),
  }));

const cut = (raw: readonly Uint8Array[], from: number): number => {
  let to = from;
  let bytes = 0;
  while (to < raw.length && to - from < MAX_STATEMENTS) {
    bytes += (raw[to] as Uint8Array).length;
    if (bytes > MAX_MESSAGE_BYTES && to > from) break;
    to++;
  }
  return to;
};

const send = async (
  verb: Verb,
  raw: readonly Uint8Array[],
  { db, coll, tx, ordered }: WriteCall,
): Promise<WriteOutcome> => {
  let n = 0;
  const errors: WriteError[] = [];
  for (let from = 0; from < raw.length; ) {
    const to = cut(raw, from);
    const command = { [verb.command]: coll, ordered, [verb.field]: section(verb.field, raw, from, to) };
    const reply = await translated(`${verb.command} into ${db.databaseName}.${coll}`, () =>
      db.command(command, { ...RAW_VALUES, ...within(tx) }),
    );
    n += Number(reply["n"] ?? 0);
    errors.push(...errorsOf(reply, from));
    if (ordered && errors.length > 0) break;
    from = to;
  }
  return { n, errors };
};

/** Inserts raw documents. @throws FERRY_MONGO_*; refused documents come back in `errors`. */
export const rawInsert = (documents: readonly Uint8Array[], call: WriteCall): Promise<WriteOutcome> =>
  send({ command: "insert", field: "documents" }, documents, call);

/** Runs raw `{ q, u, upsert, … }` statements. @throws FERRY_MONGO_* */
export const rawUpdate = (statements: readonly Uint8Array[], call: WriteCall): Promise<WriteOutcome> =>
  send({ command: "update", field: "updates" }, statements, call);

/** Runs raw `{ q, limit }` statements. @throws FERRY_MONGO_* */
export const rawDelete = (statements: readonly Uint8Array[], call: WriteCall): Promise<WriteOutcome> =>
  send({ command: "delete", field: "deletes" }, statements, call);
