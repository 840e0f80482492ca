import { BSON, type Document, type Timestamp } from "bson";
import { Cursor, rawValue } from "#bson/walk.ts";
import type { Namespace } from "#flow/types.ts";
import type { Db, MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import type { CollectionSpec, IndexSpec } from "./model.ts";

const KEEP_TYPES = { promoteValues: false, bsonRegExp: true, promoteBuffers: false } as const;
/** NamespaceNotFound; and CommandNotSupportedOnView, of a time series whose buckets have gone already. */
const GONE = new Set([26, 166]);

/** The server's own; never read, never written. */
const SYSTEM_DATABASES = new Set(["admin", "local", "config"]);

/** The server's own collections, and those that it makes for a moment under a name of its own. */
const isSystem = (coll: string): boolean => coll.startsWith("system.") || coll.startsWith("enxcol_.");

/** What an operation leaves under a name of its own until it renames it: `$out`, convertToCapped, a rename across databases. */
export const isTemporary = (coll: string): boolean =>
  /^tmp[A-Za-z0-9]{5}\.(convertToCapped\.|renameCollection$)/.test(coll) ||
  coll.startsWith("tmp.agg_out.") ||
  coll.startsWith(REBUILT);

/** What ferry itself builds anew under another name. */
export const REBUILT = "tmp.ferry_capped.";

const decode = (raw: Uint8Array): Document => BSON.deserialize(raw, KEEP_TYPES);

const without = (document: Document, ...names: readonly string[]): Document =>
  Object.fromEntries(Object.entries(document).filter(([name]) => !names.includes(name)));

/** A collation without the version of the server's own library. */
const portable = (options: Document): Document =>
  options["collation"] === undefined
    ? options
    : { ...options, collation: without(options["collation"] as Document, "version") };

const keyOf = (raw: Uint8Array): IndexSpec["key"] => {
  const key = rawValue(raw, "key") ?? BSON.serialize({});
  const values = decode(key);
  const cursor = new Cursor();
  cursor.open(key);
  const pairs: [string, unknown][] = [];
  while (cursor.next()) {
    const path = Buffer.from(key.subarray(cursor.nameStart, cursor.nameEnd)).toString();
    pairs.push([path, values[path]]);
  }
  return pairs;
};

/** Options that only old servers knew, and that newer ones refuse. */
const LEGACY = ["ns", "background", "dropDups", "safe"] as const;

const indexOf = (raw: Uint8Array, collectionCollation: boolean): IndexSpec => {
  const { name, ...rest } = decode(raw);
  const options = portable(without(rest, "key", ...LEGACY));
  const simple = collectionCollation && options["collation"] === undefined ? { collation: { locale: "simple" } } : {};
  return { name: String(name), key: keyOf(raw), options: { ...options, ...simple } };
};

const isIdIndex = ({ name, options }: IndexSpec): boolean => name === "_id_" || options["clustered"] === true;

type Indexes = Required<Pick<CollectionSpec, "indexes" | "building">>;

/** An index as it is listed while it is being built: its specification, and which build that is. */
const unfinished = (raw: Uint8Array): Uint8Array | undefined =>
  rawValue(raw, "buildUUID") === undefined ? undefined : rawValue(raw, "spec");

const readIndexes = async (db: Db, coll: string, collation: boolean): Promise<Indexes | undefined> => {
  try {
    const command = { listIndexes: coll, includeBuildUUIDs: true, cursor: {} };
    // `raw` is honoured by this cursor, but missing in its type.
    const cursor = db.runCursorCommand(command, { raw: true } as Document);
    const found = (await cursor.toArray()) as unknown as Uint8Array[];
    const building = found.flatMap((raw) => unfinished(raw) ?? []).map((spec) => String(decode(spec)["name"]));
    const finished = found.filter((raw) => unfinished(raw) === undefined).map((raw) => indexOf(raw, collation));
    return { indexes: finished.filter((index) => !isIdIndex(index)), building };
  } catch (error) {
    if (GONE.has(Number((error as { code?: number }).code))) return undefined; // dropped since it was listed
    throw error;
  }
};

const KINDS: Readonly<Record<string, CollectionSpec["kind"]>> = { view: "view", timeseries: "timeseries" };

const readCollection = async (db: Db, raw: Uint8Array): Promise<readonly CollectionSpec[]> => {
  const { name, type, options } = decode(raw);
  const coll = String(name);
  const kind = KINDS[String(type)] ?? "collection";
  // What a clustered collection says of its index besides is the server's own.
  const own = portable(without(options as Document, "uuid", "temp", "autoIndexId", "flags"));
  const clustered = own["clusteredIndex"] as Document | undefined;
  const kept = clustered === undefined ? own : { ...own, clusteredIndex: without(clustered, "v") };
  const none: Indexes = { indexes: [], building: [] };
  const found = kind === "view" ? none : await readIndexes(db, coll, kept["collation"] !== undefined);
  return found === undefined ? [] : [{ ns: { db: db.databaseName, coll }, kind, options: kept, ...found }];
};

export type Structure = Readonly<{
  collections: readonly CollectionSpec[];
  /** clusterTime at or before which everything was read; undefined on a standalone server. */
  at: Timestamp | undefined;
}>;

/** Which databases are looked into, and which of their collections; system ones never are. */
export type Scope = Readonly<{
  /** Undefined looks into all. */
  databases: readonly string[] | undefined;
  includes: (ns: Namespace) => boolean;
}>;

const databasesOf = async (client: MongoClient, { databases }: Scope): Promise<readonly string[]> => {
  if (databases !== undefined) return databases;
  const { databases: found } = await client.db("admin").admin().listDatabases({ nameOnly: true });
  return found.map(({ name }) => name);
};

/**
 * Collections with their options and indexes, time series and views. They are read one after the other: what changes
 * meanwhile has an event, which lies behind `at`.
 * @throws FERRY_MONGO_*
 */
export const readStructure = (client: MongoClient, scope: Scope): Promise<Structure> =>
  translated("reading the structure", async () => {
    const { operationTime } = (await client.db("admin").command({ ping: 1 })) as { operationTime?: Timestamp };
    const collections: CollectionSpec[] = [];
    for (const name of await databasesOf(client, scope)) {
      if (SYSTEM_DATABASES.has(name)) continue;
      const db = client.db(name);
      const listed = (await db.listCollections({}, { raw: true } as Document).toArray()) as unknown as Uint8Array[];
      const named = listed.map((raw) => ({ raw, coll: String(decode(raw)["name"]) }));
      for (const { raw, coll } of named.sort((a, b) => (a.coll < b.coll ? -1 : 1))) {
        if (!isSystem(coll) && !isTemporary(coll) && scope.includes({ db: name, coll }))
          collections.push(...(await readCollection(db, raw)));
      }
    }
    return { collections, at: operationTime };
  });
