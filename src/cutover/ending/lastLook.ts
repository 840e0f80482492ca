import { Timestamp } from "bson";
import { readLetterCounts } from "#apply/deadletter/deadLetterStore.ts";
import { type LaneRecord, partitionId } from "#apply/lanes/laneRecords.ts";
import { readLanes, readRuns } from "#apply/lanes/readLanes.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { count } from "#base/flow/figures.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { CaptureRecord, StoredCapture } from "#source/capture/captureStore.ts";
import { firstChange } from "#source/capture/firstChange.ts";
import { timeText, tokenTime } from "#source/stream/resumeToken.ts";
import { Scope } from "#source/stream/scope.ts";

export type LookDeps = Readonly<{
  state: StateDb;
  /** Of the configuration; undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  /** Error codes accepted with --accept. */
  accepted: ReadonlySet<string>;
  /** Only of these routes; undefined: of all. */
  only?: ReadonlySet<string> | undefined;
}>;

/** At most so many names in a sentence. */
const NAMED = 5;

const listed = (names: readonly string[]): string =>
  names.length <= NAMED ? names.join(", ") : `${names.slice(0, NAMED).join(", ")} and ${names.length - NAMED} more`;

const lettersOf = async ({ state, only }: LookDeps): Promise<FerryError | undefined> => {
  const waiting = (await readLetterCounts(state)).filter(({ route }) => only?.has(route) !== false);
  const total = waiting.reduce((sum, { letters }) => sum + letters, 0);
  if (total === 0) return undefined;
  const by = listed(waiting.map(({ route, letters }) => `${route}: ${letters}`));
  return new FerryError("FERRY_RUN_LETTERS", `${count(total, "dead letter")} not replayed (${by})`);
};

/** The first halted route. @throws FERRY_MONGO_* */
export const haltOf = async ({ state, only }: Pick<LookDeps, "state" | "only">): Promise<FerryError | undefined> => {
  for (const [route, { halted }] of await readRuns(state))
    if (halted !== undefined && only?.has(route) !== false)
      return new FerryError("FERRY_RUN_HALTED", `${route} is halted: ${halted.code}: ${halted.detail}`);
  return undefined;
};

/** Dead letters and halted routes: the first that is not accepted. @throws FERRY_MONGO_* */
export const lettersAndHalts = async (deps: LookDeps): Promise<FerryError | undefined> =>
  [await haltOf(deps), await lettersOf(deps)].find((error) => error !== undefined && !deps.accepted.has(error.code));

/** Names of topics that have records which no route took, or of which a route's `where` let nothing pass. */
const uncarried = async ({ state, routes }: LookDeps, topics: CaptureRecord["topics"]): Promise<string[]> => {
  const { lanes } = await readLanes(state);
  return topics.flatMap(({ name, next }) => {
    if (Number(next) === 0) return [];
    const readers = routesOn(routes, name);
    if (readers.length === 0) return [`${name} (no route reads it)`];
    return readers.flatMap(({ name: route }) => {
      const mine = lanes.filter((lane) => lane.route === route);
      const sum = (of: (lane: LaneRecord) => unknown): number =>
        mine.reduce((all, lane) => all + Number(of(lane) ?? 0), 0);
      const passed = sum(({ counts }) => Number(counts.applied) + Number(counts.superseded) + Number(counts.dead));
      const kept = sum(({ filteredBy }) => filteredBy?.["where"]);
      return passed === 0 && kept > 0 ? [`${route} (\`where\` let none of ${kept} pass)`] : [];
    });
  });
};

/** Lanes of `ferry run` that do not stand where its capture does: none where everything that was read is on the target. */
const behind = async ({ state, routes }: LookDeps, topics: CaptureRecord["topics"]): Promise<string[]> => {
  const { lanes, partitions } = await readLanes(state);
  const slices = new Map(partitions.map(({ _id, slices }) => [_id, slices]));
  return topics.flatMap(({ name, next }) =>
    routesOn(routes, name).flatMap(({ name: route }) => {
      const wanted = slices.get(partitionId(route, 0)) ?? 0;
      const there = lanes.filter((lane) => lane.route === route && lane.slice < wanted);
      const isThere =
        there.length === wanted && wanted > 0 && there.every(({ offset }) => Number(offset) >= Number(next));
      return isThere || Number(next) === 0 ? [] : [route];
    }),
  );
};

/**
 * What the target itself knows to be missing, in every topology: dead letters, halted routes, and topics of which nothing was
 * carried. @returns the first that is not accepted. @throws FERRY_MONGO_*
 */
export const missingOnTarget = async (
  deps: LookDeps,
  { topics, mode }: Pick<StoredCapture, "topics" | "mode">,
): Promise<FerryError | undefined> => {
  const known = await lettersAndHalts(deps);
  if (known !== undefined) return known;
  const nothing = await uncarried(deps, topics);
  if (nothing.length > 0 && !deps.accepted.has("FERRY_RUN_NOTHING_CARRIED"))
    return new FerryError("FERRY_RUN_NOTHING_CARRIED", `nothing was applied of ${listed(nothing)}`);
  const late = mode === "direct" ? await behind(deps, topics) : [];
  return late.length === 0
    ? undefined
    : new FerryError("FERRY_RUN_BEHIND", `${listed(late)}: lanes are behind the capture`);
};

/**
 * Do services write to what is carried, after a cluster time? The source itself is asked: a write after the end is
 * permanently missing on the target. @throws FERRY_MONGO_*, the signal's reason
 */
export const writesBehind = async (
  source: MongoClient,
  { scope, token, timeSeries = false }: Pick<StoredCapture, "scope" | "token" | "timeSeries">,
  { state, at, signal }: Readonly<{ state: Pick<StateDb, "name">; at: bigint; signal: AbortSignal }>,
): Promise<FerryError | undefined> => {
  const from = { at: new Timestamp(at + 1n) };
  const { at: first } = await firstChange({
    ...{ source, scope: new Scope(scope, state.name), timeSeries, from, signal },
  });
  if (first === undefined) return undefined;
  return new FerryError(
    "FERRY_SOURCE_WRITES",
    `the source was written to at ${timeText(first)}; the target has what was written up to ${timeText(tokenTime(token))}`,
  );
};

/** Who wrote this long before the end of the drain, by the source's time, writes still, s. */
const STILL_S = 1n;

type SourceDeps = Readonly<{ source: MongoClient; state: StateDb; signal: AbortSignal }>;

/** The same for a run that is drained, unless writes are accepted. */
export const writesOf = async (
  record: Pick<CaptureRecord, "scope" | "token" | "timeSeries" | "lifecycle">,
  { source, ...deps }: SourceDeps,
): Promise<FerryError | undefined> => {
  const { accepted = [], drainTo } = record.lifecycle ?? {};
  if (drainTo === undefined || accepted.includes("FERRY_SOURCE_WRITES")) return undefined;
  // What was written while it drained is on the target; but a service that has just written will write again.
  const lately = tokenTime(record.token) - (STILL_S << 32n);
  const asked = drainTo.toBigInt();
  return writesBehind(source, record, { ...deps, at: lately > asked ? lately : asked });
};

/** What a drained `ferry run` looks at before it ends: the target, and whether the source is still. */
export const lastLook =
  (deps: Omit<LookDeps, "accepted"> & SourceDeps) =>
  async (record: CaptureRecord): Promise<FerryError | undefined> => {
    const accepted = new Set(record.lifecycle?.accepted ?? []);
    return (await missingOnTarget({ ...deps, accepted }, record)) ?? (await writesOf(record, deps));
  };
