import { MongoClient, type MongoClientOptions } from "mongodb";
import { FerryError } from "#errors/ferryError.ts";
import { shownUri } from "#errors/secrets.ts";
import { translated } from "./errors.ts";
import { requireTlsFiles } from "./tlsFiles.ts";
import { requireMongoUri } from "./uri.ts";

export type {
  AnyBulkWriteOperation,
  ClientSession,
  Collection,
  Db,
  Document,
  MongoClient,
  ReadPreferenceMode,
} from "mongodb";

export type ConnectOptions = Readonly<{
  /** Shown in the server's log and currentOp. */
  appName: string;
  /** How long to look for a server before giving up, ms. */
  timeoutMs?: number;
  maxPoolSize?: number;
  /** Majority reads and writes unless told otherwise: what ferry remembers must survive a failover. */
  options?: MongoClientOptions;
}>;

/**
 * A client that connects with its first operation: for a server that may be away right now. The caller closes it.
 * @throws FERRY_URI on a malformed URI, FERRY_TLS_FILE.
 */
export const openMongo = (
  uri: string,
  { appName, timeoutMs = 10_000, maxPoolSize = 50, options = {} }: ConnectOptions,
): MongoClient => {
  requireMongoUri(uri);
  let client: MongoClient;
  try {
    client = new MongoClient(uri, {
      appName,
      serverSelectionTimeoutMS: timeoutMs,
      maxPoolSize,
      // Decoding is for looking only, and other UTF-8 in an error or a name is no reason to stop: it shows as U+FFFD.
      enableUtf8Validation: false,
      readConcernLevel: "majority",
      writeConcern: { w: "majority" },
      ...options,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError("FERRY_URI", `${shownUri(uri)}: ${reason}`, { cause: error });
  }
  requireTlsFiles(client.options);
  return client;
};

/**
 * A connected client, majority in both directions. The caller closes it.
 * @throws FERRY_URI on a malformed URI, FERRY_TLS_FILE, FERRY_MONGO_UNREACHABLE, FERRY_MONGO_AUTH.
 */
export const connectMongo = async (uri: string, options: ConnectOptions): Promise<MongoClient> => {
  const client = openMongo(uri, options);
  try {
    await translated(`connecting to ${shownUri(uri)}`, async () => {
      await client.connect();
      await client.db("admin").command({ ping: 1 });
    });
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
};

/**
 * A client of one member alone, whatever it is: a cursor lives where it was opened. It connects with its first operation;
 * the caller closes it.
 * @param uri as the set's, with this member's host; what DNS said of the set (`mongodb+srv`) is taken from the set's client
 */
export const openMember = (set: MongoClient, uri: string, host: string, appName: string): MongoClient => {
  const { tls, credentials } = set.options;
  const isSrv = uri.startsWith("mongodb+srv:");
  const plain = isSrv ? uri.replace("mongodb+srv:", "mongodb:") : uri;
  const said = isSrv ? { tls, ...(credentials === undefined ? {} : { authSource: credentials.source }) } : {};
  return openMongo(plain, { appName: `${appName} ${host}`, options: { ...said, directConnection: true } });
};

/** What kind of deployment answers: only replica sets and sharded clusters have transactions and change streams. */
export type Topology = Readonly<{
  kind: "standalone" | "replicaSet" | "sharded";
  setName: string | undefined;
  version: string;
}>;

export const readTopology = (client: MongoClient): Promise<Topology> =>
  translated("reading the server's topology", async () => {
    const admin = client.db("admin");
    const [hello, build] = await Promise.all([admin.command({ hello: 1 }), admin.command({ buildInfo: 1 })]);
    const setName = hello["setName"] as string | undefined;
    const kind = hello["msg"] === "isdbgrid" ? "sharded" : setName === undefined ? "standalone" : "replicaSet";
    return { kind, setName, version: String(build["version"]) };
  });
