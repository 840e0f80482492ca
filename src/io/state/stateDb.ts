import {
  type Collection,
  type ConnectOptions,
  connectMongo,
  type Db,
  type Document,
  type IndexDescription,
  type MongoClient,
} from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";

/** What is to be there before anything is written to a collection. */
type Kept = Readonly<{
  indexes?: readonly IndexDescription[];
  /** A lane's transaction writes to it, and must never be the one to create it. */
  inTransactions?: true;
}>;

/** Every collection of ferry's own database, with its indexes. Names are part of the product: operators read them in mongosh. */
const COLLECTIONS = {
  /** Routes: how each began, by which rules, and whether it is halted. */
  runs: { inTransactions: true },
  /** Who owns which partition. */
  partitions: { inTransactions: true },
  /** Where each lane stands, and its books. */
  lanes: { inTransactions: true },
  /** Who is at work. */
  workers: { inTransactions: true },
  deadLetters: {
    inTransactions: true,
    indexes: [
      { key: { route: 1, partition: 1, state: 1 } },
      { key: { route: 1, partition: 1, identity: 1, offset: 1 } },
    ],
  },
  /** Of letters that are too large for one document. */
  deadLetterChunks: { inTransactions: true },
  /** What was seen of the documents' fields and types. */
  drift: { inTransactions: true, indexes: [{ key: { route: 1, path: 1 } }] },
  driftDecisions: { indexes: [{ key: { route: 1 } }] },
  /** Documents that others wrote on the target, and how far that has been dealt with. */
  touched: { inTransactions: true },
  settled: { inTransactions: true },
  conflicts: { inTransactions: true, indexes: [{ key: { route: 1, storedAt: 1 } }, { key: { route: 1, key: 1 } }] },
  /** Documents that are to be written again. */
  repairs: { inTransactions: true, indexes: [{ key: { state: 1, route: 1, partition: 1 } }] },
  /** Which user of a Cognito pool each document is, and what the pool was given of it. */
  cognitoUsers: { indexes: [{ key: { pool: 1, usernames: 1 }, unique: true }] },
  /** How many documents a route to a Cognito pool has changed there, and how many needed no call. */
  cognitoRoutes: {},
  /** ferry's own capture, one record, and the ranges of its copy. */
  capture: {},
  copyRanges: {},
  /** Under which id captures write to Kafka. */
  producers: {},
  /** The official connector: how each was started, and what was found. */
  connectors: {},
  /** What ferry has built, what it was asked for, how far the source was followed, and which changes of it were met. */
  structure: {},
  structureSelection: {},
  structureFollow: {},
  ddl: {},
  /** What was compared, and what differs. */
  verification: {},
  verificationStructure: {},
  verificationFindings: { indexes: [{ key: { route: 1, kind: 1 } }] },
  /** What was switched over, and what a rehearsal measured. */
  cutovers: {},
  rehearsals: {},
  /** Who asked for which change; records are only ever added. */
  audit: {},
  /** Which control process is in control, and the tokens of its HTTP API. */
  control: {},
  tokens: {},
  /** What `ferry check` writes to see whether it may; removed again. */
  preflight: {},
  /** What `--target-latency-ms` writes to see how long the target takes: there, wherever the rest is. */
  probes: {},
} as const satisfies Record<string, Kept>;

export type StateCollection = keyof typeof COLLECTIONS;

const KEPT = Object.entries(COLLECTIONS) as [StateCollection, Kept][];

/** What a database of ferry's state has as soon as something ran. */
const MARKS: ReadonlySet<string> = new Set<StateCollection>([
  "runs",
  "partitions",
  "workers",
  "connectors",
  "capture",
  "structure",
]);

/** Where ferry's own database is. */
export type StatePlace = Readonly<{ uri: string; stateDb: string }>;

/** The database that ferry remembers with. */
export class StateDb {
  readonly client: MongoClient;
  readonly name: string;
  readonly #db: Db;

  /** On a client that its caller closes. */
  constructor(client: MongoClient, name: string) {
    this.client = client;
    this.name = name;
    this.#db = client.db(name);
  }

  /** Works with a connection of its own. @throws FERRY_URI, FERRY_MONGO_*, and what `work` throws */
  static async within<T>(
    { uri, stateDb }: StatePlace,
    options: ConnectOptions,
    work: (state: StateDb) => Promise<T>,
  ): Promise<T> {
    const client = await connectMongo(uri, options);
    try {
      return await work(new StateDb(client, stateDb));
    } finally {
      await client.close();
    }
  }

  collection<T extends Document>(name: StateCollection): Collection<T> {
    return this.#db.collection<T>(name);
  }

  /** Makes collections and indexes, where they are missing. @throws FERRY_MONGO_* */
  async prepare(): Promise<void> {
    await translated("preparing ferry's database", async () => {
      const existing = await this.#names();
      const missing = KEPT.filter(([name, { inTransactions }]) => inTransactions === true && !existing.has(name));
      for (const [name] of missing) await this.#db.createCollection(name).catch(unlessExists);
      await Promise.all(
        KEPT.map(([name, { indexes = [] }]) =>
          indexes.length === 0 ? undefined : this.#db.collection(name).createIndexes([...indexes]),
        ),
      );
    });
  }

  /** Has something run with it? @throws FERRY_MONGO_* */
  async hasState(): Promise<boolean> {
    const names = await translated(`looking for ferry's state in ${this.name}`, () => this.#names());
    return [...names].some((name) => MARKS.has(name));
  }

  /** As far as the user may see them. */
  async #names(): Promise<ReadonlySet<string>> {
    const listed = await this.#db.listCollections({}, { nameOnly: true, authorizedCollections: true }).toArray();
    return new Set(listed.map(({ name }) => name));
  }
}

const unlessExists = (error: unknown): void => {
  if (!hasServerCode(error, ServerCode.NamespaceExists)) throw error; // two workers prepared at the same time
};
