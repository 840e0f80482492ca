import { basename } from "node:path";
import { EJSON } from "bson";
import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import { requireMongoUri } from "#io/mongo/uri.ts";
import { hostsOf } from "#io/mongo/uriParts.ts";
import type { ConnectorConfig } from "#source/connect/connectRest.ts";
import type { Watch } from "#source/stream/watchLevel.ts";

/** The official source connector's class; its name alone is also accepted by Connect. */
export const SOURCE_CONNECTOR = "com.mongodb.kafka.connect.MongoSourceConnector";

export type StartupMode = "copy_existing" | "latest" | "timestamp";

/**
 * What ferry understands of a MongoSourceConnector's configuration. Names and defaults are the connector's own
 * (mongo-kafka 2.0.1, MongoSourceConfig.java).
 */
export type CaptureConfig = Readonly<{
  config: ConnectorConfig;
  uri: string;
  watch: Watch;
  startup: StartupMode;
  /** `find` semantics over `db.coll`; "" copies everything watched. */
  copyRegex: string;
  /** Stages before the connector's own; undefined when the text cannot be parsed here. */
  copyPipeline: readonly object[] | undefined;
  /** Stages of stream and copy; undefined when the text cannot be parsed here. */
  pipeline: readonly object[] | undefined;
  /** Options of `$changeStream` that decide which events come. */
  streamOptions: Readonly<Record<string, unknown>>;
  /** 0 = no heartbeats. */
  heartbeatMs: number;
  /** Errors are skipped instead of stopping the task: documents and whole intervals can vanish. */
  tolerant: boolean;
  /** The name under which Connect stores the position. */
  partition: string;
  /** Records are keyed by the document's key, which several partitions need for order. */
  keyedByDocument: boolean;
  /** The key is BSON bytes, which a heartbeat's text key cannot pass through. */
  bsonKey: boolean;
  /** Only the document is published: operation, time and DDL are lost. */
  documentsOnly: boolean;
}>;

export type ConnectorFile = Readonly<{ name: string; config: ConnectorConfig }>;

/** Is this configuration one of the official source connector? */
export const isSourceConnector = (config: ConnectorConfig): boolean =>
  (config["connector.class"] ?? "").split(".").at(-1) === "MongoSourceConnector";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What Connect's API takes; ferry decides on the initial state. */
const FILE_KEYS: readonly string[] = ["name", "config", "initial_state"];

/**
 * A connector file: `{ name, config }` as Connect's API takes it, or the configuration alone, named after the file.
 * @throws FERRY_CAPTURE_FILE when it cannot be read or is neither; FERRY_URI.
 */
export const readConnectorFile = (path: string, name?: string): ConnectorFile => {
  const refuse = (reason: string): FerryError => new FerryError("FERRY_CAPTURE_FILE", `${path}: ${reason}`);
  const text = readTextFile(path, refuse);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw refuse(`it is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const body = isRecord(parsed) && isRecord(parsed["config"]) ? parsed["config"] : parsed;
  if (!isRecord(body) || typeof body["connector.class"] !== "string") throw refuse('it has no "connector.class"');
  const strange =
    isRecord(parsed) && body !== parsed ? Object.keys(parsed).find((key) => !FILE_KEYS.includes(key)) : undefined;
  if (strange !== undefined)
    throw refuse(`unknown key ${JSON.stringify(strange)} beside "config"; settings belong into it`);
  const given = name ?? (isRecord(parsed) && typeof parsed["name"] === "string" ? parsed["name"] : undefined);
  const config = Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
  const uri = config["connection.uri"];
  if (uri !== undefined && !uri.includes("${")) requireMongoUri(uri, `connection.uri of ${path}`);
  delete config["name"]; // Connect puts it back; kept out so that configurations compare equal
  return { name: given ?? basename(path).replace(/\.json$/, ""), config };
};

const stages = (text: string | undefined): readonly object[] | undefined => {
  if (text === undefined || text.trim() === "") return [];
  try {
    const parsed: unknown = EJSON.parse(text, { relaxed: false });
    return Array.isArray(parsed) ? (parsed as object[]) : undefined;
  } catch {
    return undefined; // the connector's parser is more lenient (single quotes, bare keys); what needs the stages says so
  }
};

const truthy = (value: string | undefined, otherwise: boolean): boolean =>
  value === undefined ? otherwise : value.trim().toLowerCase() === "true";

const watchOf = (config: ConnectorConfig): Watch => {
  const db = config["database"] ?? "";
  const coll = config["collection"] ?? "";
  if (db === "") return { level: "cluster", db: "", coll: "" };
  return { level: coll === "" ? "database" : "collection", db, coll };
};

const startupOf = (config: ConnectorConfig): StartupMode => {
  const mode = (config["startup.mode"] ?? "latest").trim().toLowerCase();
  if (mode === "copy_existing" || mode === "timestamp") return mode;
  return truthy(config["copy.existing"], false) ? "copy_existing" : "latest"; // deprecated, still honoured
};

const streamOptionsOf = (config: ConnectorConfig): Record<string, unknown> => {
  const lookup = config["change.stream.full.document"] ?? "";
  const before = config["change.stream.full.document.before.change"] ?? "";
  return {
    ...(lookup === "" || lookup === "default" ? {} : { fullDocument: lookup }),
    ...(before === "" || before === "default" ? {} : { fullDocumentBeforeChange: before }),
    ...(truthy(config["change.stream.show.expanded.events"], false) ? { showExpandedEvents: true } : {}),
  };
};

/** `mongodb://HOSTS/db.coll`, as the connector derives it where `offset.partition.name` is not given. */
export const defaultPartition = (uri: string, watch: Watch): string => {
  const scheme = uri.startsWith("mongodb+srv://") ? "mongodb+srv://" : "mongodb://";
  const coll = watch.coll === "" ? "" : `.${watch.coll}`;
  return `${scheme}${[...hostsOf(uri)].sort().join(",")}/${watch.db}${coll}`;
};

/** Reads a configuration. Never throws: what the connector itself would refuse is its own to say. */
export const parseConnector = (config: ConnectorConfig): CaptureConfig => {
  const watch = watchOf(config);
  // The connector's own default, MongoSourceConfig.CONNECTION_URI_DEFAULT.
  const uri = config["connection.uri"] ?? "mongodb://localhost:27017,localhost:27018,localhost:27019";
  const partition = config["offset.partition.name"] ?? "";
  const tolerance = config["mongo.errors.tolerance"] ?? config["errors.tolerance"] ?? "none";
  return {
    config,
    uri,
    watch,
    startup: startupOf(config),
    copyRegex: config["startup.mode.copy.existing.namespace.regex"] ?? config["copy.existing.namespace.regex"] ?? "",
    copyPipeline: stages(config["startup.mode.copy.existing.pipeline"] ?? config["copy.existing.pipeline"]),
    pipeline: stages(config["pipeline"]),
    streamOptions: streamOptionsOf(config),
    heartbeatMs: Number(config["heartbeat.interval.ms"] ?? 0),
    tolerant: [tolerance, config["errors.tolerance"] ?? "none"].some((value) => value.toLowerCase() === "all"),
    partition: partition === "" ? defaultPartition(uri, watch) : partition,
    keyedByDocument: truthy(config["change.stream.document.key.as.key"], true),
    bsonKey: (config["output.format.key"] ?? "json").toLowerCase() === "bson",
    documentsOnly: truthy(config["publish.full.document.only"], false),
  };
};

const namespaceMap = (config: ConnectorConfig): Readonly<Record<string, string>> => {
  try {
    return JSON.parse(config["topic.namespace.map"] ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
};

/** The topic that a namespace's events go to (DefaultTopicMapper of the connector). */
export const topicOf = (config: ConnectorConfig, ns: Namespace): string => {
  const separator = config["topic.separator"] ?? ".";
  const map = namespaceMap(config);
  const full = formatNamespace(ns);
  const mapped = map[full] ?? (map[ns.db] === undefined ? (map["*"] ?? full) : `${map[ns.db]}${separator}${ns.coll}`);
  const [prefix = "", suffix = ""] = [config["topic.prefix"]?.trim(), config["topic.suffix"]?.trim()];
  return `${prefix === "" ? "" : prefix + separator}${mapped}${suffix === "" ? "" : separator + suffix}`;
};

/** Of the namespaces that exist, those whose changes the connector sees. One that is watched by name need not exist. */
export const watchedNamespaces = ({ watch }: CaptureConfig, existing: readonly Namespace[]): Namespace[] =>
  watch.level === "collection"
    ? [{ db: watch.db, coll: watch.coll }]
    : existing.filter(
        ({ db, coll }) =>
          (watch.level === "cluster" ? !/^(admin|config|local)/.test(db) : db === watch.db) &&
          !coll.startsWith("system."),
      );

/**
 * Of the namespaces that exist, those the connector would copy (MongoCopyDataManager.selectNamespaces). A collection
 * that is watched by name is copied whether or not it exists.
 */
export const copiedNamespaces = (capture: CaptureConfig, existing: readonly Namespace[]): Namespace[] => {
  const { copyRegex } = capture;
  const inScope = watchedNamespaces(capture, existing);
  if (copyRegex === "") return inScope;
  const regex = new RegExp(copyRegex);
  return inScope.filter((ns) => regex.test(formatNamespace(ns)));
};

/** The data topics of a list that belong to this connector, judged by name: its watched namespaces, mapped. */
export const topicsInScope = (capture: CaptureConfig, topics: readonly string[]): string[] => {
  const { watch, config } = capture;
  if (watch.level === "collection")
    return topics.filter((topic) => topic === topicOf(config, { db: watch.db, coll: watch.coll }));
  return topics.filter((topic) => {
    const { db, coll } = parseNamespace(topic);
    return (
      coll !== "" && (watch.level === "cluster" || topicOf(config, { db: watch.db, coll }) === topic || db === watch.db)
    );
  });
};
