import { FerryError } from "#base/errors/ferryError.ts";
import { uriOption } from "#io/mongo/uriParts.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import { type CaptureConfig, topicsInScope } from "./connectorConfig.ts";
import type { StartDeps } from "./startDeps.ts";
import { countRecords } from "./startWaits.ts";

/** @throws FERRY_CAPTURE_PLUGIN_MISSING when Connect cannot run this class. */
export const requirePlugin = async (className: string, rest: ConnectRest): Promise<void> => {
  const classes = (await rest.plugins()).map((plugin) => plugin.class);
  const known = classes.some((name) => name === className || name.split(".").at(-1) === className);
  if (!known)
    throw new FerryError("FERRY_CAPTURE_PLUGIN_MISSING", `Connect at ${rest.url} has no connector class ${className}`);
};

/**
 * Refuses a configuration that cannot lead to an equal target.
 * @throws FERRY_CAPTURE_TOLERANT, FERRY_CAPTURE_UNUSABLE, FERRY_CAPTURE_KEY_FORMAT, FERRY_CAPTURE_STALE_READS
 */
export const requireSuitable = (name: string, capture: CaptureConfig): void => {
  const { config } = capture;
  if (capture.tolerant) throw new FerryError("FERRY_CAPTURE_TOLERANT", `connector ${name} has errors.tolerance=all`);
  if (capture.documentsOnly)
    throw new FerryError(
      "FERRY_CAPTURE_UNUSABLE",
      `connector ${name} has publish.full.document.only=true: deletes and the order of changes are lost`,
    );
  if (!capture.keyedByDocument && Number(config["topic.creation.default.partitions"] ?? 1) > 1)
    throw new FerryError(
      "FERRY_CAPTURE_UNUSABLE",
      `connector ${name} has change.stream.document.key.as.key=false on a topic with several partitions: the order of a document's changes is lost`,
    );
  if (capture.bsonKey && capture.heartbeatMs > 0)
    throw new FerryError(
      "FERRY_CAPTURE_KEY_FORMAT",
      `connector ${name} has output.format.key=bson together with heartbeat.interval.ms=${capture.heartbeatMs}`,
    );
  const preference = uriOption(capture.uri, "readPreference") ?? "primary";
  if (capture.startup === "copy_existing" && !/^primary(Preferred)?$/i.test(preference))
    throw new FerryError("FERRY_CAPTURE_STALE_READS", `connection.uri of ${name} has readPreference=${preference}`);
};

/** @throws FERRY_CAPTURE_TOPIC_NOT_EMPTY when a topic that the connector will write to holds records already. */
export const requireEmptyTopics = async (name: string, capture: CaptureConfig, deps: StartDeps): Promise<void> => {
  const count = await countRecords(capture, deps);
  if (count === 0) return;
  const topics = topicsInScope(capture, await deps.kafka.topics()).join(", ");
  throw new FerryError(
    "FERRY_CAPTURE_TOPIC_NOT_EMPTY",
    `${topics} holds ${count} records, and ferry knows no start of ${name}`,
  );
};

/** @throws FERRY_CAPTURE_PARTITION_CHANGED with the line that keeps the position. */
export const requireSamePartition = (name: string, capture: CaptureConfig, partition: string): void => {
  if (capture.partition === partition) return;
  throw new FerryError(
    "FERRY_CAPTURE_PARTITION_CHANGED",
    `the position of ${name} is stored under "${partition}", this configuration looks under "${capture.partition}"; ` +
      `keep it with "offset.partition.name": ${JSON.stringify(partition)}`,
  );
};
