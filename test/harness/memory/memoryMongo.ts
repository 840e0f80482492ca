import { BSON, type Document, ObjectId, Timestamp } from "bson";
import type { MongoClient } from "#io/mongo/connect.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { passing } from "./database.ts";
import { at, evaluate, isSame, known, MODIFIERS, matches, put, sorted, text } from "./memoryQuery.ts";

const copied = (document: Document): Document => BSON.deserialize(BSON.serialize(document), { promoteBuffers: false });

/** One collection, as far as ferry's stores go. */
class MemoryCollection {
  readonly #name: string;
  readonly #server: MemoryMongo;
  /** It is there from its first write on, or once it was created. */
  isThere = false;
  listed: Listed = {};
  #documents: Document[] = [];

  constructor(name: string, server: MemoryMongo) {
    this.#name = name;
    this.#server = server;
  }

  /** Copies of all documents. */
  get all(): readonly Document[] {
    return this.#documents.map((document) => copied(document));
  }

  #select(filter: Document): Document[] {
    return this.#documents.filter((document) => matches(filter, document, this.#server.date));
  }

  #command<T>(name: string, work: () => T): Promise<T> {
    return this.#server.command(`${name} ${this.#name}`, work);
  }

  find(filter: Document = {}) {
    const shape: { sort: Document; limit: number } = { sort: {}, limit: Number.POSITIVE_INFINITY };
    const cursor = {
      sort: (sort: Document) => Object.assign(shape, { sort }) && cursor,
      limit: (limit: number) => Object.assign(shape, { limit }) && cursor,
      toArray: () =>
        this.#command("find", () => sorted(this.#select(filter), shape.sort).slice(0, shape.limit).map(copied)),
    };
    return cursor;
  }

  async findOne(filter: Document = {}): Promise<Document | null> {
    return (await this.find(filter).limit(1).toArray())[0] ?? null;
  }

  distinct(path: string, filter: Document = {}): Promise<unknown[]> {
    return this.#command("distinct", () => {
      const values = this.#select(filter).map((document) => at(document, path));
      return [...new Map(values.map((value) => [text(value), value])).values()];
    });
  }

  aggregate(stages: readonly Document[]) {
    const STAGES: Readonly<Record<string, (found: Document[], given: Document) => Document[]>> = {
      $match: (found, filter) => found.filter((document) => matches(filter, document, this.#server.date)),
      $sort: sorted,
      $limit: (found, limit) => found.slice(0, limit as unknown as number),
      $set: (found, fields) => found.map((document) => this.#computed(document, fields)),
    };
    const run = (found: Document[], stage: Document): Document[] => {
      const [name = ""] = Object.keys(stage);
      return known(STAGES, name)(found, stage[name]);
    };
    return { toArray: () => this.#command("aggregate", () => stages.reduce(run, [...this.all])) };
  }

  #computed(document: Document, fields: Document): Document {
    const next = copied(document);
    for (const [path, value] of Object.entries(fields)) put(next, path, evaluate(value, document, this.#server.date));
    return next;
  }

  insertOne(document: Document): Promise<void> {
    return this.insertMany([document]);
  }

  insertMany(documents: readonly Document[]): Promise<void> {
    return this.#command("insert", () => {
      this.isThere = true;
      for (const given of documents) {
        const document = { _id: new ObjectId(), ...given };
        if (this.#documents.some(({ _id }) => isSame(_id, document["_id"])))
          throw passing(ServerCode.DuplicateKey, `${this.#name} has ${text(document["_id"])}`);
        this.#documents.push(copied(document));
      }
    });
  }

  updateOne(filter: Document, update: Document | readonly Document[], { upsert = false }: Document = {}) {
    return this.#command("update", () => {
      const [found] = this.#select(filter);
      if (found !== undefined || upsert) this.#update(found, filter, update);
      return { matchedCount: found === undefined ? 0 : 1 };
    });
  }

  #update(found: Document | undefined, filter: Document, update: Document | readonly Document[]): Document {
    this.isThere = true;
    const next = found ?? Object.fromEntries(Object.entries(filter).filter(([path]) => !path.startsWith("$")));
    const changed = this.#changed(next, update, found === undefined);
    this.#documents = [...this.#documents.filter((one) => one !== found), changed];
    return changed;
  }

  #changed(document: Document, update: Document | readonly Document[], isNew: boolean): Document {
    if (Array.isArray(update))
      return update.reduce((now: Document, { $set }: Document) => this.#computed(now, $set), document);
    const next = copied(document);
    for (const [operator, fields] of Object.entries(update))
      for (const [path, given] of Object.entries(fields as Document)) {
        if (operator === "$currentDate") put(next, path, this.#server.date);
        else put(next, path, known(MODIFIERS, operator)(at(next, path), given, isNew));
      }
    return next;
  }

  /** @returns as it is afterwards */
  findOneAndUpdate(filter: Document, update: Document | readonly Document[]): Promise<Document | null> {
    return this.#command("findAndModify", () => {
      const [found] = this.#select(filter);
      return found === undefined ? null : copied(this.#update(found, filter, update));
    });
  }

  deleteOne(filter: Document): Promise<void> {
    return this.#command("delete", () => {
      const [found] = this.#select(filter);
      this.#documents = this.#documents.filter((one) => one !== found);
    });
  }

  deleteMany(filter: Document): Promise<void> {
    return this.#command("delete", () => {
      const gone = new Set(this.#select(filter));
      this.#documents = this.#documents.filter((one) => !gone.has(one));
    });
  }

  async bulkWrite(operations: readonly Document[]): Promise<void> {
    for (const { deleteMany, updateOne, ...others } of operations) {
      if (Object.keys(others).length > 0) throw new Error(`not known here: ${Object.keys(others)}`);
      if (deleteMany !== undefined) await this.deleteMany(deleteMany.filter);
      else await this.updateOne(updateOne.filter, updateOne.update, updateOne);
    }
  }

  createIndexes(indexes: readonly Document[]): Promise<void> {
    return this.#command("createIndexes", () => {
      this.isThere = true;
      this.#server.indexes.set(this.#name, indexes.length);
    });
  }
}

/** What a name stands for, as `listCollections` says it. */
type Listed = Readonly<{ type?: "collection" | "view" | "timeseries"; options?: Document }>;

/** A deployment in memory: `StateDb` and the stores in it work on its client as on a real one. */
export class MemoryMongo {
  /** Its clock, ms. */
  now = 1_700_000_000_000;
  /** Called before each command: may throw, as a server that is away, or a process that was killed. */
  gate: (command: string) => void = () => undefined;
  /** How many indexes were asked for, by collection. */
  readonly indexes = new Map<string, number>();
  readonly #databases = new Map<string, Map<string, MemoryCollection>>();

  get date(): Date {
    return new Date(this.now);
  }

  /** Its clusterTime. */
  get time(): Timestamp {
    return new Timestamp({ t: Math.floor(this.now / 1000), i: 1 });
  }

  async command<T>(command: string, work: () => T): Promise<T> {
    this.gate(command);
    return work();
  }

  state(name = "ferry"): StateDb {
    return new StateDb(this.client, name);
  }

  /** Of one collection of ferry's database. */
  documents(name: string, db = "ferry"): readonly Document[] {
    return this.#collection(db, name).all;
  }

  /** Names of a database's collections. */
  names(db = "ferry"): readonly string[] {
    return [...this.#collectionsOf(db)].flatMap(([name, { isThere }]) => (isThere ? [name] : [])).sort();
  }

  /** Makes a collection, view or time series. */
  make(db: string, name: string, listed: Listed = {}): void {
    Object.assign(this.#collection(db, name), { isThere: true, listed });
  }

  get client(): MongoClient {
    return { db: (name: string) => this.#db(name) } as unknown as MongoClient;
  }

  #collection(db: string, name: string): MemoryCollection {
    const collections = this.#collectionsOf(db);
    const found = collections.get(name) ?? new MemoryCollection(name, this);
    collections.set(name, found);
    return found;
  }

  #collectionsOf(db: string): Map<string, MemoryCollection> {
    const found = this.#databases.get(db) ?? new Map<string, MemoryCollection>();
    this.#databases.set(db, found);
    return found;
  }

  #db(db: string) {
    return {
      databaseName: db,
      collection: (name: string) => this.#collection(db, name),
      createCollection: (name: string) =>
        this.command(`create ${name}`, () => {
          if (this.names(db).includes(name)) throw passing(ServerCode.NamespaceExists, `${db} has ${name}`);
          this.make(db, name);
        }),
      listCollections: ({ name }: Document, { raw = false }: Document = {}) => {
        const what = name === undefined ? db : `${db}.${name}`;
        const listed = () => this.#listed(db).filter((one) => name === undefined || one["name"] === name);
        return { toArray: () => this.command(`listCollections ${what}`, () => (raw ? listed().map(raws) : listed())) };
      },
      runCursorCommand: () => ({ toArray: async () => [] }),
      command: (command: Document) => this.#run(db, command),
      admin: () => ({ listDatabases: () => this.command("listDatabases", () => this.#listDatabases()) }),
    };
  }

  #listed(db: string): Document[] {
    return this.names(db).map((name) => ({
      name,
      type: "collection",
      options: {},
      ...this.#collection(db, name).listed,
    }));
  }

  #listDatabases(): Document {
    const there = [...this.#databases.keys()].filter((db) => this.names(db).length > 0);
    return { databases: there.map((name) => ({ name })) };
  }

  /** Of what changes something, only that a collection is made is carried out. */
  #run(db: string, command: Document): Promise<Document> {
    const [name = "", of] = Object.entries(command)[0] ?? [];
    return this.command(typeof of === "string" ? `${name} ${db}.${of}` : name, () => {
      if (name === "create") this.make(db, of);
      return { ok: 1, operationTime: this.time, setName: "rs", version: "8.0.0" };
    });
  }
}

const raws = (document: Document): Uint8Array => BSON.serialize(document);
