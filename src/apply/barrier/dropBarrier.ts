import type { Claim } from "#apply/lanes/claims.ts";
import type { Drops } from "#apply/lanes/drops.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { type DdlEvent, formatNamespace, type Log, type LogRecord } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { incarnationsOf, type Sink } from "#sink/sink.ts";

export type DropContext = Readonly<{
  claim: Claim;
  partitionCount: number;
  drops: Drops;
  sink: Sink;
  /** Creates the collection again: as the source has it now, or a plain one. */
  prepare: () => Promise<void>;
  log: Log;
  logger: Logger;
}>;

/** How much earlier than the drop's own log time the other partitions are read again, ms: producers send partitions side by side. */
const MARGIN_MS = 60_000;

/**
 * Applies a drop that all lanes of this partition stand before. The connector's drop lands in one partition of several,
 * unordered against the others: some may be behind it, some past it. So ferry does not align them: the others are fenced, the
 * collection goes, and they are read again from before the drop, where everything that is older than it is filtered by its
 * clusterTime. That holds as well when the connector sends old events again after a rewind.
 * @throws FERRY_MONGO_*, FERRY_KAFKA_*; the next owner of the partition repeats it.
 */
export const applyDrop = async (
  { claim, partitionCount, drops, sink, prepare, log, logger }: DropContext,
  event: DdlEvent,
  record: LogRecord,
): Promise<void> => {
  const { route, topic, partition } = claim;
  const incarnations = incarnationsOf(sink);
  const doomed = await drops.begin(route, partition, event.at, await incarnations.uuid());
  await drops.fence(route, partition);
  faultPoint("mid-drop");
  if (doomed !== undefined) await incarnations.drop(doomed);
  await prepare();
  const from = new Map<number, number>();
  for (let other = 0; other < partitionCount; other++) {
    if (other !== partition) from.set(other, await log.offsetAt(topic, other, record.timestampMs - MARGIN_MS));
  }
  await drops.finish({ route, at: event.at, owner: claim }, from);
  logger.warn(
    { ns: formatNamespace(event.ns), route, partition, offset: record.offset },
    "collection dropped, as on the source",
  );
};
