import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { atLeast } from "#io/mongo/serverVersion.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { ChangeCursor } from "#source/stream/changeCursor.ts";
import type { Deployment } from "#source/stream/deployment.ts";
import type { Scope } from "#source/stream/scope.ts";
import type { Watch } from "#source/stream/watchLevel.ts";

/**
 * Does the source show the buckets of time series in its change streams? `showSystemEvents` is not documented, so the server
 * is asked instead of its version: one that does not know the option says so. (Tried on 6.0.5, which shows every write and
 * DDL of `system.buckets.NAME`.) @throws FERRY_MONGO_* of what passes
 */
export const showsBuckets = async (client: MongoClient, watch: Watch): Promise<boolean> => {
  const stream = { showSystemEvents: true };
  const phase = "asking whether change streams show time series";
  try {
    await using _cursor = await ChangeCursor.open({ client, watch, from: "now", stream, phase });
    return true;
  } catch (error) {
    // A lack of the privilege for change streams is reported by the check of privileges.
    if (isFerry(error, "FERRY_MONGO_REJECTED", "FERRY_MONGO_COMMAND", "FERRY_MONGO_PRIVILEGE")) return false;
    throw error;
  }
};

/** Names of time series, for a sentence. */
export const seriesNames = (buckets: readonly Namespace[]): string =>
  buckets.map((ns) => formatNamespace(seriesOf(ns) ?? ns)).join(", ");

/** Why measurements are not carried from a source that does not show them. */
export const unseen = (version: string): string =>
  `MongoDB ${version} shows their measurements in no change stream, so they are built empty; copy these with mongodump and mongorestore when the writers have gone, or leave them out with --exclude`;

const BEGUN_WITHOUT =
  "this run began without their measurements, which a newer ferry carries; `--recopy` copies everything once more, with them";

/** The decision of a resumed capture; undefined at the start of a copy, which decides again. */
export const decidedBy = (known: CaptureRecord | undefined, recopy: boolean): boolean | undefined =>
  known === undefined || recopy ? undefined : known.timeSeries === true;

export type SeriesDeps = Readonly<{
  source: MongoClient;
  deployments: Readonly<{ source: Deployment; target: Deployment }>;
  scope: Scope;
  /** See decidedBy. */
  decided: boolean | undefined;
  logger: Logger;
}>;

/** Buckets are passed on as they lie; a server reads those of its own version and of older ones. @throws FERRY_SERVER_TOO_OLD */
const requireReadable = (series: readonly Namespace[], source: string, target: string): void => {
  const [major = 0, minor = 0] = source.split(".").map(Number);
  if (series.length > 0 && !atLeast(target, [major, minor]))
    throw new FerryError(
      "FERRY_SERVER_TOO_OLD",
      `MongoDB ${target} of the target may not read time series of MongoDB ${source}: upgrade it to ${major}.${minor}, or leave out ${seriesNames(series)}`,
    );
};

/**
 * Whether time series are carried with their measurements, and what of the source's collections there is to carry then. Says
 * how many are not, and what to do. @throws FERRY_SERVER_TOO_OLD, FERRY_MONGO_*
 */
export const withTimeSeries = async (
  { source, deployments, scope, decided, logger }: SeriesDeps,
  existing: readonly Namespace[],
): Promise<Readonly<{ timeSeries: boolean; existing: readonly Namespace[] }>> => {
  const timeSeries = decided ?? (await showsBuckets(source, scope.watch));
  const series = existing.filter((ns) => seriesOf(ns) !== undefined && scope.has(ns));
  if (timeSeries) {
    requireReadable(series, deployments.source.version, deployments.target.version);
    return { timeSeries, existing };
  }
  const why = decided === undefined ? unseen(deployments.source.version) : BEGUN_WITHOUT;
  if (series.length > 0) logger.warn({ count: series.length }, `time series (${seriesNames(series)}): ${why}`);
  return { timeSeries, existing: existing.filter((ns) => seriesOf(ns) === undefined) };
};
