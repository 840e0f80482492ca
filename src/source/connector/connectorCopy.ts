import type { Timestamp } from "bson";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { listNamespaces } from "#source/stream/sourceProbe.ts";
import { type CaptureConfig, copiedNamespaces } from "./connectorConfig.ts";

/** The shape in which the connector copies a document (MongoCopyDataManager), so that its pipeline sees the same. */
const copyShape = ({ db, coll }: Namespace): object => ({
  $replaceRoot: {
    newRoot: {
      _id: { _id: "$_id", copyingData: true },
      operationType: "insert",
      ns: { db: { $literal: db }, coll: { $literal: coll } },
      documentKey: { _id: "$_id" },
      fullDocument: "$$ROOT",
    },
  },
});

/** Of a document, that it is there: nothing of it has to be decoded. */
const FOUND = { $project: { _id: { $literal: 1 } } };

/**
 * Would the connector's copy deliver nothing at all? Asked of the majority view at or after `after`, so that whatever
 * appears later is an event of the stream that starts there. `undefined`: not known in the time allowed, or the pipeline
 * cannot be read here.
 */
export const copyIsEmpty = async (
  client: MongoClient,
  capture: CaptureConfig,
  after: Timestamp,
  maxMs: number,
): Promise<boolean | undefined> => {
  const { copyPipeline, pipeline } = capture;
  if (copyPipeline === undefined || pipeline === undefined) return undefined;
  const namespaces = copiedNamespaces(capture, await listNamespaces(client, capture.watch));
  try {
    for (const ns of namespaces) {
      const reply = await translated(`looking into ${formatNamespace(ns)}`, () =>
        client.db(ns.db).command({
          aggregate: ns.coll,
          pipeline: [...copyPipeline, copyShape(ns), ...pipeline, { $limit: 1 }, FOUND],
          cursor: {},
          maxTimeMS: maxMs,
          readConcern: { level: "majority", afterClusterTime: after },
        }),
      );
      if ((reply["cursor"] as { firstBatch: unknown[] }).firstBatch.length > 0) return false;
    }
    return true;
  } catch (error) {
    if (hasServerCode(error, ServerCode.MaxTimeMSExpired)) return undefined;
    throw error;
  }
};

/** How many documents the copy will read, by the collections' own counters. An estimate: it moves while it is read. */
export const estimateCopy = (client: MongoClient, capture: CaptureConfig): Promise<number> =>
  translated("counting what is to be copied", async () => {
    const namespaces = copiedNamespaces(capture, await listNamespaces(client, capture.watch));
    const counts = await Promise.all(
      namespaces.map(({ db, coll }) => client.db(db).collection(coll).estimatedDocumentCount()),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  });
