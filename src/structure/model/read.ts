import type { Timestamp } from "bson";
import { type RawValue, rawField } from "#base/bson/rawValue.ts";
import type { Namespace } from "#base/flow/types.ts";
import { kindIn, listCollections } from "#io/mongo/collections.ts";
import type { Db, Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { CollectionSpec, IndexSpec } from "./model.ts";
import { isOn, type Options, optionsIn, optionsWithin, rawSubdocument, rawText, textOf, without } from "./options.ts";
import { withoutFence } from "./writeFence.ts";

/** The server's own; never read, never written. */
const SYSTEM_DATABASES = new Set(["admin", "local", "config"]);

/** The server's own collections, and those that it makes for a moment under a name of its own. */
const isSystem = (coll: string): boolean => coll.startsWith("system.") || coll.startsWith("enxcol_.");

/** What an operation leaves under a name of its own until it renames it: `$out`, convertToCapped, a rename across databases. */
export const isTemporary = (coll: string): boolean =>
  /^tmp[A-Za-z0-9]{5}\.(convertToCapped\.|renameCollection$)/.test(coll) ||
  coll.startsWith("tmp.agg_out.") ||
  coll.startsWith(REBUILT);

/** What ferry itself rebuilds under another name. */
export const REBUILT = "tmp.ferry_capped.";

/** A collation without the version of the server's own library. */
const portable = (options: Options): Options =>
  options["collation"] === undefined
    ? options
    : { ...options, collation: rawSubdocument(without(optionsWithin(options["collation"]), "version")) };

/** Options that only old servers knew, and that newer ones refuse. */
const LEGACY = ["ns", "background", "dropDups", "safe"] as const;

const SIMPLE = { collation: rawSubdocument({ locale: rawText("simple") }) };

const indexOf = (raw: Uint8Array, collectionCollation: boolean): IndexSpec => {
  const { name, key = rawSubdocument({}), ...rest } = optionsIn(raw);
  const options = portable(without(rest, ...LEGACY));
  const simple = collectionCollation && options["collation"] === undefined ? SIMPLE : {};
  return { name: textOf(name) ?? "", key, options: { ...options, ...simple } };
};

const isIdIndex = ({ name, options }: IndexSpec): boolean => name === "_id_" || isOn(options["clustered"]);

type Indexes = Required<Pick<CollectionSpec, "indexes" | "building">>;

/** An index as it is listed while it is being built: its specification, and which build that is. */
const unfinished = (raw: Uint8Array): RawValue | undefined =>
  rawField(raw, "buildUUID") === undefined ? undefined : rawField(raw, "spec");

const readIndexes = async (db: Db, coll: string, collation: boolean): Promise<Indexes | undefined> => {
  try {
    const command = { listIndexes: coll, includeBuildUUIDs: true, cursor: {} };
    // `raw` is honoured by this cursor, but missing in its type.
    const cursor = db.runCursorCommand(command, { raw: true } as Document);
    const found = (await cursor.toArray()) as unknown as Uint8Array[];
    const building = found
      .flatMap((raw) => unfinished(raw) ?? [])
      .map((spec) => textOf(optionsWithin(spec)["name"]) ?? "");
    const finished = found.filter((raw) => unfinished(raw) === undefined).map((raw) => indexOf(raw, collation));
    return { indexes: finished.filter((index) => !isIdIndex(index)), building };
  } catch (error) {
    // Dropped since it was listed; a time series whose buckets have gone already is a view.
    if (hasServerCode(error, ServerCode.NamespaceNotFound, ServerCode.CommandNotSupportedOnView)) return undefined;
    throw error;
  }
};

const readCollection = async (db: Db, raw: Uint8Array): Promise<readonly CollectionSpec[]> => {
  const { name, options } = optionsIn(raw);
  const coll = textOf(name) ?? "";
  const kind = kindIn(raw);
  const own = withoutFence(portable(without(optionsWithin(options), "uuid", "temp", "autoIndexId", "flags")));
  const { clusteredIndex } = own;
  // What a clustered collection says of its index besides is the server's own.
  const kept =
    clusteredIndex === undefined
      ? own
      : { ...own, clusteredIndex: rawSubdocument(without(optionsWithin(clusteredIndex), "v")) };
  const none: Indexes = { indexes: [], building: [] };
  const found = kind === "view" ? none : await readIndexes(db, coll, kept["collation"] !== undefined);
  return found === undefined ? [] : [{ ns: { db: db.databaseName, coll }, kind, options: kept, ...found }];
};

/** Options of one collection as the server has them; undefined where it has none of this name. @throws FERRY_MONGO_* */
export const rawOptionsOf = (client: MongoClient, { db, coll }: Namespace): Promise<Options | undefined> =>
  translated(`reading the options of ${db}.${coll}`, async () => {
    const listed = client.db(db).listCollections({ name: coll }, { raw: true } as Document);
    const [raw] = (await listed.toArray()) as unknown as Uint8Array[];
    return raw === undefined ? undefined : optionsWithin(rawField(raw, "options"));
  });

export type Structure = Readonly<{
  collections: readonly CollectionSpec[];
  /** clusterTime at or before which everything was read; undefined on a standalone server. */
  at: Timestamp | undefined;
}>;

/** Which databases are looked into, and which of their collections; system ones never are. */
export type ReadScope = Readonly<{
  /** Undefined looks into all. */
  databases: readonly string[] | undefined;
  includes: (ns: Namespace) => boolean;
}>;

const databasesOf = async (client: MongoClient, { databases }: ReadScope): Promise<readonly string[]> => {
  if (databases !== undefined) return databases;
  const { databases: found } = await client.db("admin").admin().listDatabases({ nameOnly: true });
  return found.map(({ name }) => name);
};

/**
 * Collections with their options and indexes, time series and views. They are read one after the other: what changes
 * meanwhile has an event, which lies after `at`.
 * @throws FERRY_MONGO_*
 */
export const readStructure = (client: MongoClient, scope: ReadScope): Promise<Structure> =>
  translated("reading the structure", async () => {
    const { operationTime } = (await client.db("admin").command({ ping: 1 })) as { operationTime?: Timestamp };
    const collections: CollectionSpec[] = [];
    for (const name of await databasesOf(client, scope)) {
      if (SYSTEM_DATABASES.has(name)) continue;
      const db = client.db(name);
      const named = (await listCollections(db)).map((raw) => ({ raw, coll: textOf(rawField(raw, "name")) ?? "" }));
      for (const { raw, coll } of named.sort((a, b) => (a.coll < b.coll ? -1 : 1))) {
        if (!isSystem(coll) && !isTemporary(coll) && scope.includes({ db: name, coll }))
          collections.push(...(await readCollection(db, raw)));
      }
    }
    return { collections, at: operationTime };
  });
