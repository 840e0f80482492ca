import { textIn } from "#base/bson/rawValue.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Db, Document, MongoClient } from "./connect.ts";
import { translated } from "./errors.ts";

/** One collection of one deployment. */
export type CollectionAt = Readonly<{ client: MongoClient; ns: Namespace }>;

/** What a name of a database stands for. */
export type CollectionKind = "collection" | "timeseries" | "view";

/** The server's own word for it. */
const kindNamed = (type: string | undefined): CollectionKind =>
  type === "view" || type === "timeseries" ? type : "collection";

/** What a name stands for; undefined where nothing has it. @throws FERRY_MONGO_* */
export const kindOf = async (db: Db, coll: string): Promise<CollectionKind | undefined> => {
  const [found] = await translated(`looking at ${db.databaseName}.${coll}`, () =>
    db.listCollections({ name: coll }, { nameOnly: true }).toArray(),
  );
  return found && kindNamed(found.type);
};

/** The same of an answer of `listCollections`. */
export const kindIn = (listed: Uint8Array): CollectionKind => kindNamed(textIn(listed, "type"));

/** Raw: an `_id` may hold what no decoder takes. */
const ONE_KEY = { projection: { _id: 1 }, raw: true } as const;

/** Is there a document under this name? Of a view, one that it shows. @throws FERRY_MONGO_* */
export const hasDocuments = async (db: Db, coll: string): Promise<boolean> => {
  const found = db.collection(coll).findOne({}, ONE_KEY);
  return (await translated(`looking at ${db.databaseName}.${coll}`, () => found)) !== null;
};

/** What the server says of collections, raw: a validator in the options may hold what no decoder takes. @throws FERRY_MONGO_* */
export const listCollections = async (db: Db, filter: Document = {}): Promise<readonly Uint8Array[]> =>
  (await translated(`looking at the collections of ${db.databaseName}`, () =>
    db.listCollections(filter, { raw: true } as Document).toArray(),
  )) as unknown as Uint8Array[];

/** The same of one collection; undefined where there is none. @throws FERRY_MONGO_* */
export const listedCollection = async (db: Db, coll: string): Promise<Uint8Array | undefined> =>
  (await listCollections(db, { name: coll }))[0];
