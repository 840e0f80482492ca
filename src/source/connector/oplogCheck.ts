import type { MongoClient } from "#io/mongo/connect.ts";
import { oplogRoom } from "#source/stream/oplogRoom.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { CaptureConfig } from "./connectorConfig.ts";
import { type ConnectorFinding, finding } from "./finding.ts";

/** Does the stored position stand in the part of the oplog that goes next? */
export const checkOplog = async (
  connector: string,
  capture: CaptureConfig,
  token: ResumeToken,
  source: MongoClient,
): Promise<ConnectorFinding[]> => {
  const room = await oplogRoom(source, token);
  if (room === undefined || !room.short) return [];
  const { leftSeconds: left, windowSeconds: whole } = room;
  const heartbeat = capture.heartbeatMs > 0 ? "" : "; it has no heartbeats, so an idle position stays where it is";
  const sentence =
    left <= 0
      ? `the stored position of ${connector} has fallen off the source's oplog${heartbeat}`
      : `the stored position of ${connector} leaves the source's oplog in about ${left} s of writes (window ${whole} s)${heartbeat}`;
  return [finding("FERRY_CAPTURE_OPLOG_SHORT", connector, sentence)];
};
