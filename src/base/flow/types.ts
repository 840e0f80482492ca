/**
 * The vocabulary of the pipeline. Data flows capture → wire → log → wire → filter → apply → sink; positions flow back.
 * Document bodies stay raw BSON from the topic to the target: nothing here is decoded unless a rule needs it.
 */

/** `db.collection`; both parts raw, the first dot separates them. */
export type Namespace = Readonly<{ db: string; coll: string }>;

export const formatNamespace = (ns: Namespace): string => (ns.coll === "" ? ns.db : `${ns.db}.${ns.coll}`);

/** Splits at the first dot (a database name cannot contain one). A name without a dot is a whole database. */
export const parseNamespace = (text: string): Namespace => {
  const dot = text.indexOf(".");
  return dot === -1 ? { db: text, coll: "" } : { db: text.slice(0, dot), coll: text.slice(dot + 1) };
};

/** The server's own databases and system collections. Buckets of time series are meant by the name of their series. */
export const isOfServer = ({ db, coll }: Namespace): boolean =>
  ["admin", "local", "config"].includes(db) || coll.startsWith("system.");

/** Where an event comes from: the bulk read of existing documents, or the change stream after it. */
export type Origin = "copy" | "stream";

type EventBase = Readonly<{
  ns: Namespace;
  origin: Origin;
  /**
   * clusterTime as 64 bits (seconds << 32 | increment). A copied document has the copy's own time (`copyTime`, constant
   * per copy run, see the recommended connector), or 0n where the connector does not add it.
   */
  at: bigint;
}>;

/** The whole document as it was looked up or copied: insert, replace, or update with a looked-up document. */
export type WriteEvent = EventBase &
  Readonly<{
    op: "write";
    /** Raw BSON of documentKey. */
    key: Uint8Array;
    /** Raw BSON of the document. */
    doc: Uint8Array;
    /** The source says that the document is new (copy, or operationType insert): worth trying as an insert first. */
    fresh: boolean;
  }>;

/** An update known only by its delta. */
export type PatchEvent = EventBase &
  Readonly<{
    op: "patch";
    key: Uint8Array;
    /** Raw BSON of updateDescription: updatedFields, removedFields, truncatedArrays, disambiguatedPaths. */
    update: Uint8Array;
  }>;

export type DeleteEvent = EventBase & Readonly<{ op: "delete"; key: Uint8Array }>;

/**
 * An event without effect: an update whose looked-up document is null, so it was deleted since and its
 * delete follows; a tombstone; a heartbeat. Counted, never silent.
 */
export type NoopEvent = EventBase &
  Readonly<{
    op: "noop";
    reason: "deleted-since" | "dropped-since" | "switched-since" | "where" | "keep-target" | "tombstone" | "heartbeat";
    /** Raw documentKey of the event that it was, where its lane must not depend on what a look-up happens to find. */
    of?: Uint8Array;
  }>;

/**
 * What changes a collection or database itself, as the server names it (`operationType`). `invalidate` ends a stream and is named
 * here so that it is not passed over.
 */
export const DDL_KINDS = [
  "create",
  "createIndexes",
  "drop",
  "dropDatabase",
  "dropIndexes",
  "invalidate",
  "modify",
  "rename",
  "refineCollectionShardKey",
  "reshardCollection",
  "shardCollection",
  "startIndexBuild",
  "commitIndexBuild",
  "abortIndexBuild",
] as const;

export type DdlKind = (typeof DDL_KINDS)[number];

/** A change of the collection itself; lands in any partition (its Kafka key is the resume token). */
export type DdlEvent = EventBase &
  Readonly<{
    op: "ddl";
    kind: DdlKind;
    /** Raw BSON of the whole event. */
    command: Uint8Array;
  }>;

/** What happened to one document: these have its key. */
export type DocumentEvent = WriteEvent | PatchEvent | DeleteEvent;

export type ChangeEvent = DocumentEvent | NoopEvent | DdlEvent;

/** One record of a log, undecoded. Offsets fit a double (2^53) and are numbers on the hot path. */
export type LogRecord = Readonly<{
  key: Uint8Array | null;
  value: Uint8Array | null;
  offset: number;
  timestampMs: number;
  /** The event, where the record never left this process and its writer knows it already. */
  event?: ChangeEvent;
  /** Bytes that it keeps in memory, where key and value are made only when they are read. */
  size?: number;
}>;

/** Bytes that a record keeps in memory. Key and value may be made by asking for them: so they are not asked for in vain. */
export const recordBytes = (record: LogRecord): number =>
  record.size ?? (record.value?.length ?? 0) + (record.key?.length ?? 0);

/** The unit of resume: `end` is the offset to read next once every item is durable. */
export type LogBatch = Readonly<{
  records: readonly LogRecord[];
  bytes: number;
  end: number;
  /** The log's end as the broker last said: `highWatermark - end` records are still to come. */
  highWatermark: number;
  /**
   * Given where the order of keys needs no lane of their own: each record is the only one of its key until all of them are
   * durable. Then one lane takes the whole batch, this one modulo their number; read again, the same records have the same.
   */
  turn?: number | undefined;
}>;

/** One partition of a log. */
export interface LogPartition extends AsyncDisposable {
  /** Reads from `offset` until `soft` aborts, which ends the iteration normally. An idle log yields empty batches now and then. */
  read(offset: number, soft: AbortSignal): AsyncIterable<LogBatch>;
  /** Everything before `offset` is durable downstream: a log that keeps records for this reader only may forget them. */
  settled?(offset: number): void;
  /** `tell` is called with an offset that a caller waits for to be settled, now and whenever there is a later one. */
  awaited?(tell: (offset: number) => void): void;
}

/** A log: topics of partitions. Kafka in production, memory in `ferry run`. */
export interface Log extends AsyncDisposable {
  topics(): Promise<string[]>;
  partitions(topic: string): Promise<number>;
  /** Another topic of the same name has another id. */
  topicId(topic: string): Promise<string>;
  /** First offset held and next offset to be written, per partition. */
  bounds(topic: string): Promise<{ earliest: number[]; latest: number[] }>;
  /** First offset whose record was written at `timeMs` or later; the end where there is none yet. */
  offsetAt(topic: string, index: number, timeMs: number): Promise<number>;
  /** Some records from `offset` on, to look at; none where the log has none. */
  peek(topic: string, index: number, offset: number): Promise<readonly LogRecord[]>;
  /** @param reader whose positions these are: several may read one partition */
  partition(topic: string, index: number, reader: string): LogPartition;
  /** Shows positions to the log's own tools, where it has some; the truth is in the lane records. */
  showOffsets(topic: string, offsets: ReadonlyMap<number, number>): Promise<void>;
}

/** A whole document. `fresh`: it is worth trying as a new one; otherwise it goes over whatever is there. */
export type WriteOp = Pick<WriteEvent, "op" | "key" | "doc" | "fresh">;

/** Changes of a document that is there; creates none. `changes`: raw modifiers (`$set`, `$unset`, `$push` with `$slice`), in order. */
export type PatchOp = Pick<PatchEvent, "op" | "key"> & Readonly<{ changes: readonly Uint8Array[] }>;

/** A document that is expected not to be there. It serves as its own key. */
export const freshWrite = (doc: Uint8Array): WriteOp => ({ op: "write", key: doc, doc, fresh: true });

export type DeleteOp = Pick<DeleteEvent, "op" | "key">;

/**
 * What a batch does to one document, whatever kind of target it goes to. In the events' own words: a copied document's event is
 * its operation, and no object is made for it. Of one key a batch has a delete, a write and a patch at most, in this order.
 */
export type TargetOp = WriteOp | PatchOp | DeleteOp;

/** Of the filtered ones: how many for which reason, a no-op's or the kind of a change of the collection. */
export type FilteredBy = Readonly<Record<string, number>>;

/** A unique value that another document has already. `other`: raw `{ _id }` of that document, where it was found. */
export type Clash = Readonly<{ index: string; other: Uint8Array | undefined }>;

/**
 * The books of a lane: each is counted separately, and they move in the same transaction as the position. They balance,
 * always: see `imbalance`.
 */
export type Counts = Readonly<{
  received: number;
  applied: number;
  superseded: number;
  filtered: number;
  dead: number;
}>;

export const NO_COUNTS: Counts = { received: 0, applied: 0, superseded: 0, filtered: 0, dead: 0 };

/**
 * received − (applied + superseded + filtered + dead): 0, or events were lost (more than 0) or counted twice (less).
 */
export const imbalance = ({ received, applied, superseded, filtered, dead }: Counts): number =>
  received - applied - superseded - filtered - dead;
