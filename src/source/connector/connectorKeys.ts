import { nearest } from "#base/config/suggest.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { ConnectorConfig, ConnectRest } from "#source/connect/connectRest.ts";

/**
 * Keys that Connect takes and does not list: settings of clients and plug-ins below a prefix.
 * Source: Apache Kafka documentation, "Connect"; the MongoDB sink's overrides per topic.
 */
const PREFIXES: readonly string[] = [
  "producer.override.",
  "consumer.override.",
  "admin.override.",
  "key.converter.",
  "value.converter.",
  "header.converter.",
  "topic.override.",
];

/** Below these prefixes comes a name that another key lists. */
const LISTED: readonly Readonly<{ prefix: string; list: string; always: readonly string[] }>[] = [
  { prefix: "transforms.", list: "transforms", always: [] },
  { prefix: "predicates.", list: "predicates", always: [] },
  { prefix: "topic.creation.", list: "topic.creation.groups", always: ["default"] },
];

const taken = (config: ConnectorConfig): readonly string[] => [
  ...PREFIXES,
  ...LISTED.flatMap(({ prefix, list, always }) =>
    [...always, ...(config[list] ?? "").split(",")].map((name) => `${prefix}${name.trim()}.`),
  ),
];

/** The keys of a configuration that mean nothing to Connect or its connector. Pure. */
export const unknownKeys = (config: ConnectorConfig, known: readonly string[]): readonly string[] => {
  const prefixes = taken(config);
  return Object.keys(config).filter(
    (key) =>
      key !== "name" &&
      !known.includes(key) &&
      !prefixes.some((prefix) => key.length > prefix.length && key.startsWith(prefix)),
  );
};

/** Connectors whose settings are all listed; others may take more than they list. */
const OFFICIAL = /(^|\.)Mongo(Source|Sink)Connector$/;

/**
 * Refuses a configuration of the official connectors with an unknown key: Connect ignores such keys, and a misspelled
 * `startup.mode` would copy nothing. @throws FERRY_CAPTURE_FILE, FERRY_CONNECT_*
 */
export const requireKnownKeys = async (name: string, config: ConnectorConfig, rest: ConnectRest): Promise<void> => {
  if (!OFFICIAL.test(config["connector.class"] ?? "")) return;
  const known = (await rest.validate({ ...config, name })).map((one) => one.name);
  const [key] = unknownKeys(config, known);
  if (key === undefined) return;
  const close = nearest(key, known);
  const hint = close === undefined ? "Connect would ignore it" : `did you mean ${JSON.stringify(close)}?`;
  throw new FerryError("FERRY_CAPTURE_FILE", `${name}: unknown key ${JSON.stringify(key)}; ${hint}`);
};
