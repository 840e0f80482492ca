import { Binary, type Timestamp } from "bson";
import { type RawValue, rawField } from "#base/bson/rawValue.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Clash, Namespace, TargetOp } from "#base/flow/types.ts";
import { hasDocuments, kindOf, listedCollection } from "#io/mongo/collections.ts";
import type { Db, Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { rawDelete, rawInsert, rawUpdate, type WriteError, type WriteOutcome } from "#io/mongo/rawWrites.ts";
import { hasServerCode, isPassingCode, ServerCode, serverCodeOf } from "#io/mongo/serverCodes.ts";
import { BEST_SITE, type TargetSite } from "#io/state/targetSite.ts";
import type { Abilities, Explanation, Incarnations, Refusal, Sink } from "#sink/sink.ts";
import { type Statements, statementsOf } from "./statements.ts";

type Stage = keyof Statements;

/** What is known of one refused statement. `doc`: the document that was inserted. */
type RefusedWrite = WriteError & Readonly<{ doc: Uint8Array | undefined }>;

const refused = (stage: Stage, error: RefusedWrite): FerryError => {
  const { code, message, index, keyPattern } = error;
  // A write fence or a stepdown may be reported for one statement: that is no reason for a dead letter.
  return new FerryError(
    isPassingCode(code) ? "FERRY_MONGO_TRANSIENT" : "FERRY_MONGO_REJECTED",
    `${message} (${code})`,
    {
      cause: error,
      facts: {
        stage,
        serverCode: code,
        index,
        keyPattern: keyPattern && namesOf(keyPattern.bytes).join(","),
      },
    },
  );
};

const check = (stage: Stage, statements: Statements, { errors }: WriteOutcome): void => {
  const [first] = errors;
  if (first !== undefined)
    throw refused(stage, { ...first, doc: stage === "inserts" ? statements.inserts[first.index] : undefined });
};

const element = new Cursor();

const namesOf = (document: Uint8Array): string[] => {
  const names: string[] = [];
  element.open(document);
  while (element.next()) names.push(Buffer.from(document.subarray(element.nameStart, element.nameEnd)).toString());
  return names;
};

/** A filter for documents with these values, compared as they are, whatever they look like. */
const having = (keyValue: RawValue): Document => {
  const conditions: Document[] = [];
  for (const name of namesOf(keyValue.bytes)) conditions.push({ [name]: { $eq: rawField(keyValue.bytes, name) } });
  return { $and: conditions };
};

/** A value without an index that answers for it (a partial one) is not searched for longer than this, ms. */
const CLASH_MS = 1000;

/** Does the error say that the document's `_id` is there already (and not that another unique index clashes)? */
const isIdCollision = (error: FerryError): boolean =>
  hasServerCode(error, ServerCode.DuplicateKey) && error.facts["keyPattern"] === "_id";

/** What a collection can do there. */
export const mongoAbilities = ({ standalone, apart }: TargetSite): Abilities => ({
  transactions: !standalone && !apart,
  structure: true,
  foreignWrites: !standalone,
  incarnations: true,
  keys: true,
  patches: true,
  verbatim: true,
});

/**
 * One collection of a MongoDB server. Writes are raw BSON; inside a transaction they belong to it, outside they are idempotent
 * one by one.
 */
export class MongoSink implements Sink, Incarnations {
  readonly can: Abilities;
  readonly batchCount = undefined;
  readonly form = undefined;
  readonly incarnations = this;
  readonly #client: MongoClient;
  readonly #db: Db;
  readonly #coll: string;

  constructor(client: MongoClient, ns: Namespace, site: TargetSite = BEST_SITE) {
    this.can = mongoAbilities(site);
    this.#client = client;
    this.#db = client.db(ns.db);
    this.#coll = ns.coll;
  }

  /** Creates the collection where it is missing: a transaction must not be the one to create it. @throws FERRY_MONGO_* */
  async prepare(): Promise<void> {
    await translated(`creating ${this.#db.databaseName}.${this.#coll}`, async () => {
      if ((await kindOf(this.#db, this.#coll)) !== undefined) return;
      await this.#db.createCollection(this.#coll).catch((error: unknown) => {
        if (!hasServerCode(error, ServerCode.NamespaceExists)) throw error; // another worker was faster
      });
    });
  }

  /** Target namespace, as text. */
  get name(): string {
    return `${this.#db.databaseName}.${this.#coll}`;
  }

  /**
   * Are there documents, and which clusterTime is it (undefined on a standalone)? What a view shows are others' documents, and
   * what a time series shows lies in its buckets, which are a collection of their own. @throws FERRY_MONGO_*
   */
  async look(): Promise<Readonly<{ occupied: boolean; at: Timestamp | undefined }>> {
    return translated(`looking at ${this.name}`, async () => {
      const { operationTime } = (await this.#db.command({ ping: 1 })) as { operationTime?: Timestamp };
      if ((await kindOf(this.#db, this.#coll)) !== "collection") return { occupied: false, at: operationTime };
      return { occupied: await hasDocuments(this.#db, this.#coll), at: operationTime };
    });
  }

  /** The documents of these keys; see `Sink`. @throws FERRY_MONGO_* */
  read(keys: readonly Uint8Array[], at?: Timestamp): Promise<readonly Uint8Array[]> {
    return readByKeys(this.#client, this.#db.databaseName, this.#coll, keys, at && { asOf: at });
  }

  /** Raw `{ _id }` of every document, in batches. @throws FERRY_MONGO_* */
  async *keys(batch: number): AsyncGenerator<readonly Uint8Array[]> {
    const found = this.#db.collection(this.#coll).find({}, { projection: { _id: 1 }, raw: true, batchSize: batch });
    try {
      for (;;) {
        const more = await translated(`reading the keys of ${this.name}`, () => found.hasNext());
        if (!more) return;
        // Copied: the driver's documents are views of one reply, which would be kept alive.
        yield (found.readBufferedDocuments(batch) as unknown as Uint8Array[]).map((key) => Buffer.from(key));
      }
    } finally {
      await found.close();
    }
  }

  /** Which incarnation of the collection is there; undefined where there is none. @throws FERRY_MONGO_* */
  async uuid(): Promise<Binary | undefined> {
    const found = await listedCollection(this.#db, this.#coll);
    const uuid = found && rawField(rawField(found, "info")?.bytes ?? found, "uuid");
    return uuid?.type === BsonType.binary ? new Binary(uuid.bytes.subarray(5), uuid.bytes[4]) : undefined;
  }

  /** Drops this incarnation and no other; a no-op where it is gone. Source: the `drop` command's collectionUUID. @throws FERRY_MONGO_*, FERRY_STRUCTURE_REFUSED */
  async drop(incarnation: Binary): Promise<void> {
    const series = seriesOf({ db: this.#db.databaseName, coll: this.#coll });
    if (series !== undefined) return this.#dropBuckets(series.coll, incarnation);
    await translated(`dropping ${this.#db.databaseName}.${this.#coll}`, () =>
      this.#db.command({ drop: this.#coll, collectionUUID: incarnation }).catch((error: unknown) => {
        if (!hasServerCode(error, ServerCode.NamespaceNotFound, ServerCode.CollectionUUIDMismatch)) throw error;
      }),
    );
  }

  /**
   * Buckets go with their time series, or alone where they came when it had gone. Neither drop takes a UUID (InvalidOptions), so it is looked at just before. Beside a collection of the time series' name the server drops that
   * one instead, and no client may write to it meanwhile: only one without documents may be dropped, and the caller creates it again.
   */
  async #dropBuckets(series: string, incarnation: Binary): Promise<void> {
    const present = await this.uuid();
    if (present === undefined || Buffer.compare(present.value(), incarnation.value()) !== 0) return;
    const { databaseName: db } = this.#db;
    const type = await kindOf(this.#db, series);
    if (type === "view" || (type === "collection" && (await hasDocuments(this.#db, series))))
      throw new FerryError(
        "FERRY_STRUCTURE_REFUSED",
        `${db}.${this.#coll} lies beside ${db}.${series}, which the server would drop in its place`,
      );
    if (type !== undefined) await translated(`dropping ${db}.${series}`, () => this.#db.dropCollection(series));
    if (type !== "timeseries")
      await translated(`dropping ${db}.${this.#coll}`, () => this.#db.dropCollection(this.#coll));
  }

  refusal(error: unknown): Refusal | undefined {
    if (!isFerry(error)) return undefined;
    if (hasServerCode(error, ServerCode.WriteConflict)) return { kind: "contended" };
    if (error.code !== "FERRY_MONGO_REJECTED") return undefined;
    if (isIdCollision(error)) return { kind: "exists", doc: (error.cause as Partial<RefusedWrite> | undefined)?.doc };
    const isRespelled = error.facts["stage"] === "updates" && hasServerCode(error, ServerCode.ImmutableField);
    return { kind: isRespelled ? "respelled" : "rejected" };
  }

  async explain(error: unknown): Promise<Explanation> {
    return isFerry(error) ? { serverCode: serverCodeOf(error), clash: await this.#clash(error) } : {};
  }

  /** Which unique index refused a statement, and whose the value is; undefined for other refusals. */
  async #clash(error: FerryError): Promise<Clash | undefined> {
    if (!hasServerCode(error, ServerCode.DuplicateKey) || isIdCollision(error)) return undefined;
    const { keyPattern, keyValue } = error.cause as WriteError;
    if (keyPattern === undefined || keyValue === undefined) return undefined;
    const collection = this.#db.collection(this.#coll);
    const index = (await this.#uniqueIndex(keyPattern)) ?? keyPattern.text;
    const options = { projection: { _id: 1 }, raw: true, maxTimeMS: CLASH_MS };
    const other = await collection.findOne(having(keyValue), options).catch(() => null); // too long: the value is in the reason
    return { index, other: (other as Uint8Array | null) ?? undefined };
  }

  /** The name of the unique index on this key; undefined if it is unknown. */
  async #uniqueIndex(key: RawValue): Promise<string | undefined> {
    const cursor = this.#db.collection(this.#coll).listIndexes({ raw: true } as Document);
    const indexes = (await cursor.toArray().catch(() => [])) as unknown as Uint8Array[];
    const found = indexes.find((index) => {
      const own = rawField(index, "key");
      return own !== undefined && Buffer.compare(own.bytes, key.bytes) === 0 && rawField(index, "unique") !== undefined;
    });
    const name = found && rawField(found, "name");
    return name && Buffer.from(name.bytes).toString("utf8", 4, name.bytes.length - 1);
  }

  /**
   * Resolves when all of it is written (durable with the transaction, or majority-written without one).
   * @throws FERRY_MONGO_REJECTED with `facts.stage`, `serverCode`, `keyPattern` for the first refused statement; FERRY_MONGO_*.
   */
  async write(ops: readonly TargetOp[], tx: StateTx | undefined): Promise<void> {
    const call = { db: this.#db, coll: this.#coll, tx, ordered: tx !== undefined };
    const statements = statementsOf(ops);
    const { deletes, inserts, updates } = statements;
    if (deletes.length > 0) check("deletes", statements, await rawDelete(deletes, call));
    if (inserts.length > 0) check("inserts", statements, await rawInsert(inserts, call));
    if (updates.length > 0 && deletes.length + inserts.length > 0) faultPoint("mid-bulk");
    if (updates.length > 0) check("updates", statements, await rawUpdate(updates, { ...call, ordered: true }));
  }
}
