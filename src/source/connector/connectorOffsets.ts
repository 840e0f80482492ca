import type { ConnectorOffset } from "#source/connect/connectRest.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";

/** Where a connector's stored offset stands. */
export type OffsetState =
  | Readonly<{ kind: "none" }>
  /** In mid-copy: a restart copies from the beginning. */
  | Readonly<{ kind: "copying" }>
  | Readonly<{ kind: "streaming"; token: ResumeToken; heartbeat: boolean }>;

/** Reads the offset of one partition name out of what Connect has stored for the connector. */
export const offsetState = (offsets: readonly ConnectorOffset[], partition: string): OffsetState => {
  const stored = offsets.find((entry) => entry.partition["ns"] === partition)?.offset;
  if (stored === undefined || stored === null) return { kind: "none" };
  if ("copy" in stored) return { kind: "copying" };
  try {
    const token = ResumeToken.parse(String(stored["_id"]));
    return { kind: "streaming", token, heartbeat: "HEARTBEAT" in stored };
  } catch {
    return { kind: "none" };
  }
};

/**
 * The offset entry that makes the connector start its stream at a token, without a copy. The connector keeps the whole token,
 * as extended JSON (com.mongodb.kafka.connect.source.MongoSourceTask).
 */
export const offsetAt = (partition: string, token: ResumeToken): ConnectorOffset => ({
  partition: { ns: partition },
  offset: { _id: token.text },
});
