import type { ConnectorConfig } from "#source/connect/connectRest.ts";
import { type CaptureConfig, parseConnector } from "./connectorConfig.ts";

/** How long the connector waits for a change before it commits its offset, while the start is under way, ms. */
const POLL_MS = 500;

/**
 * The configuration for the time of the copy: the file's own, with a short poll. The connector marks the end of its copy
 * in the offset of the last copied record, and Connect takes that offset over only when the task's poll returns.
 */
export const startingConfig = ({ config }: CaptureConfig): ConnectorConfig => {
  const poll = Math.min(Number(config["poll.await.time.ms"] ?? 5000), POLL_MS);
  return { ...config, "poll.await.time.ms": String(poll) };
};

/** Are two configurations the same to Connect? The name that Connect adds does not count. */
export const sameConfig = (a: ConnectorConfig, b: ConnectorConfig): boolean => {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  keys.delete("name");
  return [...keys].every((key) => a[key] === b[key]);
};

/** The partition name of a configuration as Connect holds it. */
export const offsetPartitionOf = (config: ConnectorConfig): string => parseConnector(config).partition;
