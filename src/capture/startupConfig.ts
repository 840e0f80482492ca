import { type CaptureConfig, parseCapture } from "./connectorConfig.ts";
import type { ConnectorConfig } from "./connectRest.ts";

/** A heartbeat this often while the start is under way, ms. */
const HEARTBEAT_MS = 500;

/**
 * The configuration for the time of the copy: the file's own, with quick heartbeats. Without them the connector never
 * says that its copy is over: its stored offset stays that of the last copied document until something is written to
 * the source (seen with 2.0.1), and a restart before that copies everything again. A connector with BSON keys cannot
 * have heartbeats; it waits for the source's next write.
 */
export const startingConfig = (capture: CaptureConfig): ConnectorConfig => {
  if (capture.bsonKey) return capture.config;
  const heartbeat = capture.heartbeatMs > 0 ? Math.min(capture.heartbeatMs, HEARTBEAT_MS) : HEARTBEAT_MS;
  const poll = Math.min(Number(capture.config["poll.await.time.ms"] ?? 5000), HEARTBEAT_MS);
  return { ...capture.config, "heartbeat.interval.ms": String(heartbeat), "poll.await.time.ms": String(poll) };
};

/** Are two configurations the same to Connect? The name that Connect adds does not count. */
export const sameConfig = (a: ConnectorConfig, b: ConnectorConfig): boolean => {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  keys.delete("name");
  return [...keys].every((key) => a[key] === b[key]);
};

/** The partition name of a configuration as Connect holds it. */
export const partitionOf = (config: ConnectorConfig): string => parseCapture(config).partition;
