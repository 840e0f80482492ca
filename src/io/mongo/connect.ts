import {
  type Db,
  type DbOptions,
  type Document,
  MongoClient,
  type MongoClientOptions,
  type ReadPreferenceMode,
  type RunCommandOptions,
} from "mongodb";
import { FerryError } from "#base/errors/ferryError.ts";
import { shownUri } from "#base/errors/secrets.ts";
import { translated } from "./errors.ts";
import { noteRefusals, renewLogin, shareLogin } from "./logins.ts";
import { requireTlsFiles } from "./tlsFiles.ts";
import { readableTopologyVersions } from "./topologyVersion.ts";
import { requireMongoUri } from "./uri.ts";
import { ferryUri } from "./uriOptions.ts";

export type {
  AnyBulkWriteOperation,
  ClientSession,
  Collection,
  Db,
  Document,
  IndexDescription,
  MongoClient,
  ReadPreferenceMode,
} from "mongodb";

/** Which of a run's servers one is, for sentences. */
export type ServerSide = "source" | "target" | "state database";

export type ConnectOptions = Readonly<{
  /** Named in a sentence about the first connection. */
  side?: ServerSide | undefined;
  /** Shown in the server's log and currentOp. */
  appName: string;
  /** How long to look for a server before giving up, ms. */
  timeoutMs?: number;
  maxPoolSize?: number;
  /** Where single reads go, by a choice of ferry's own flags; the primary otherwise. */
  readPreference?: ReadPreferenceMode;
  /** For a glance: who connects, and does not answer for so long, ms, counts as away. Otherwise commands may take their hours. */
  answerMs?: number;
  /** Writes documents past validators, and so past the fence that is one: for what carries changes back behind a cutover. */
  pastValidators?: boolean;
}>;

/** What is ferry's own business in every client, whatever the URI says: what it remembers must survive a failover. */
const OWN = {
  readConcernLevel: "majority",
  writeConcern: { w: "majority" },
  retryReads: true,
  retryWrites: true,
  socketTimeoutMS: 0, // an index build takes its hours; a dead connection is noticed by the driver's monitors
  waitQueueTimeoutMS: 0,
  // After a refused login the driver asks nothing of a server until its next reply to a monitor, which is this far away at most.
  heartbeatFrequencyMS: 2000,
  // Decoding is for looking only, and other UTF-8 in an error or a name is no reason to stop: it shows as U+FFFD.
  enableUtf8Validation: false,
} as const satisfies MongoClientOptions;

type OwnOptions = Readonly<{ pastValidators?: boolean | undefined }>;

const writes = (command: Document): boolean => "insert" in command || "update" in command;

/**
 * A client that connects with its first operation, or with a later one. The driver's own keeps what is left of a first
 * attempt that failed, and answers "Topology is closed" from then on.
 */
class LazyClient extends MongoClient {
  readonly #always: Document;

  constructor(uri: string, { pastValidators = false, ...options }: MongoClientOptions & OwnOptions) {
    super(uri, options);
    this.#always = pastValidators ? { bypassDocumentValidation: true } : {};
  }

  override async connect(): Promise<this> {
    try {
      return await super.connect();
    } catch (error) {
      (this as { topology?: unknown }).topology = undefined; // not of the public API; test/unit/io/mongo/reach.test.ts
      throw error;
    }
  }

  /** Commands do not take over how the client decodes, as collections do: a reply that names an `_id` of other UTF-8 would throw. */
  override db(name?: string, options?: DbOptions): Db {
    const db = super.db(name, options);
    const command = db.command.bind(db);
    db.command = (document: Document, more?: RunCommandOptions) =>
      command(writes(document) ? { ...document, ...this.#always } : document, {
        enableUtf8Validation: OWN.enableUtf8Validation,
        ...more,
      });
    return db;
  }
}

const open = (typed: string, options: MongoClientOptions & OwnOptions): MongoClient => {
  readableTopologyVersions();
  requireMongoUri(typed);
  const { uri } = ferryUri(typed);
  let client: MongoClient;
  try {
    client = new LazyClient(uri, { ...OWN, ...options });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError("FERRY_URI", `${shownUri(typed)}: ${reason}`, { cause: error });
  }
  requireTlsFiles(client.options);
  renewLogin(client, typed);
  noteRefusals(client);
  return client;
};

const clientOptions = ({
  appName,
  timeoutMs = 10_000,
  maxPoolSize = 50,
  readPreference = "primary",
  answerMs,
  pastValidators,
}: ConnectOptions): MongoClientOptions & OwnOptions => ({
  pastValidators,
  appName,
  serverSelectionTimeoutMS: timeoutMs,
  maxPoolSize,
  readPreference,
  ...(answerMs === undefined ? {} : { connectTimeoutMS: answerMs, socketTimeoutMS: answerMs, retryReads: false }),
});

/**
 * A client that connects with its first operation: for a server that may be away right now. The caller closes it.
 * @throws FERRY_URI on a malformed URI, FERRY_TLS_FILE.
 */
export const openMongo = (uri: string, options: ConnectOptions): MongoClient => open(uri, clientOptions(options));

/** A member that takes no writes has no place to remember in, and its reads may be older than an event. @throws FERRY_MONGO_MEMBER */
const requirePrimary = async (client: MongoClient, uri: string): Promise<void> => {
  if (!client.options.directConnection) return;
  const hello = await client.db("admin").command({ hello: 1 });
  if (hello["setName"] !== undefined && hello["isWritablePrimary"] !== true)
    throw new FerryError(
      "FERRY_MONGO_MEMBER",
      `${shownUri(uri)} has directConnection=true and leads to a member that is not the primary`,
    );
};

/** What is being done while a server is first connected to. */
export const connecting = (uri: string, side: ServerSide | undefined): string =>
  `connecting to ${side === undefined ? "" : `the ${side}, `}${shownUri(uri)}`;

/** Connects, and sees that the server answers. @throws as `connectMongo` */
export const greet = (client: MongoClient, uri: string, side?: ServerSide): Promise<void> =>
  translated(connecting(uri, side), async () => {
    await client.connect();
    await client.db("admin").command({ ping: 1 });
    await requirePrimary(client, uri);
  });

/**
 * A connected client: it reads from and writes to the primary, majority in both directions. The caller closes it.
 * @throws FERRY_URI on a malformed URI, FERRY_TLS_FILE, FERRY_MONGO_UNREACHABLE, FERRY_MONGO_AUTH, FERRY_MONGO_MEMBER.
 */
export const connectMongo = async (uri: string, options: ConnectOptions): Promise<MongoClient> => {
  const client = openMongo(uri, options);
  try {
    await greet(client, uri, options.side);
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
  const isSrv = uri.startsWith("mongodb+srv:");
  const plain = isSrv ? uri.replace("mongodb+srv:", "mongodb:") : uri;
  const said = isSrv ? { tls: set.options.tls } : {};
  const member = open(plain, { ...clientOptions({ appName: `${appName} ${host}` }), ...said, directConnection: true });
  shareLogin(member, set);
  return member;
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
