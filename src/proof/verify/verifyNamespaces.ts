import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { bucketsOf } from "#base/flow/buckets.ts";
import type { RetryOptions } from "#base/flow/retry.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import { Pace, SOURCE_PROBE } from "#io/pace/pace.ts";
import type { SourceProbeData } from "#io/pace/readProbe.ts";
import type { StructureDifference } from "#proof/structure/compareStructure.ts";
import { settledStructure } from "#proof/structure/settledStructure.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import { type Carried, type CarriedDeps, readCarried } from "./carried.ts";
import { comparedRoute } from "./comparedRoute.ts";
import { type PassResult, Verification, type VerificationDeps } from "./verification.ts";
import { VerificationStore } from "./verificationStore.ts";

export type VerifyDeps = CarriedDeps &
  Readonly<{
    signal: AbortSignal;
    onRetry: NonNullable<RetryOptions["onRetry"]>;
    /** A pass ends when nothing could be judged for so long, ms: nothing carries what is behind. */
    patienceMs: number;
    /** Passes slow down while the source takes longer than `limitMs` for a small read; undefined: as fast as it goes. */
    sourceLoad: Readonly<{ uri: string; limitMs: number }> | undefined;
    /** Do services of a topic write to the target by now? What differs there is theirs. */
    switchedOver: () => Promise<(topic: string) => boolean>;
    /** After each route. */
    onResult: (result: PassResult) => void;
    /** For who watches: documents of a route that were compared since the last call, those of an interrupted pass first. */
    onCompared?: VerificationDeps["onProgress"];
    /** And about how many there are in all, before the first of them. */
    onEstimate?: (documents: number) => void;
  }>;

export type VerifyReport = Readonly<{
  routes: readonly PassResult[];
  structure: readonly StructureDifference[];
  /** Topics that were not compared: their services were sent to the target. */
  switched: readonly string[];
}>;

/** What is compared of what is carried. */
export type ToCompare = Carried &
  Readonly<{ switched: readonly string[]; filter: Readonly<{ has: (ns: Namespace) => boolean }> }>;

/** Names in a sentence. */
const SHOWN = 5;
/** Ranges that are read concurrently: each keeps one core of a server busy. */
const READERS = 2;
/** Where nothing tells how far the target is: what differs and stands still for so long is wrong, ms. */
export const GRACE_MS = 30_000;

/** @throws what `readCarried` throws; FERRY_VERIFY_SWITCHED where services of all that is meant were sent to the target */
export const readCompared = async (deps: VerifyDeps): Promise<ToCompare> => {
  const isSwitched = await deps.switchedOver();
  const carried = await readCarried(deps);
  const [routes, kept] = [carried.routes, carried.kept].map((some) => some.filter(({ from }) => !isSwitched(from))) as [
    Route[],
    Route[],
  ];
  const switched = [...new Set([...carried.routes, ...carried.kept].map(({ from }) => from).filter(isSwitched))];
  if (routes.length + kept.length === 0)
    throw new FerryError("FERRY_VERIFY_SWITCHED", switched.slice(0, SHOWN).join(", "));
  const has = (ns: Namespace): boolean =>
    deps.filter.has(ns) && ![ns, bucketsOf(ns)].map(formatNamespace).some(isSwitched);
  return { ...carried, routes, kept, switched, filter: { has } };
};

/** Has every topic come so far? */
const appliedOfAll = async ({ routes, applied }: Carried): Promise<bigint | undefined> => {
  const times = await Promise.all([...new Set(routes.map(({ from }) => from))].map(applied));
  return times.some((at) => at === undefined)
    ? undefined
    : times.reduce<bigint | undefined>((low, at = 0n) => (low === undefined || at < low ? at : low), undefined);
};

const nameOf = ({ ns, index }: StructureDifference): string => (index === "" ? ns : `${ns} ${index}`);

/** Compares the structure, and notes what it lacks. @throws FERRY_MONGO_*, the signal's reason */
export const lookAtStructure = async (
  deps: VerifyDeps,
  compared: ToCompare,
  store: VerificationStore,
): Promise<readonly StructureDifference[]> => {
  const { filter } = compared;
  const structure = await settledStructure({ ...deps, filter, applied: () => appliedOfAll(compared) });
  const wrong = structure.filter(({ deferred }) => !deferred);
  await store.noteStructure([...new Set(wrong.map(nameOf))], structure.length - wrong.length);
  return structure;
};

/** Tells passes how much of the time they may read; the caller disposes of it. */
export const openPace = ({ sourceLoad, clock }: VerifyDeps, { routes, kept }: Carried): Pace | undefined => {
  const [first] = [...routes, ...kept];
  if (sourceLoad === undefined || first === undefined) return undefined;
  const { uri, limitMs } = sourceLoad;
  const data: SourceProbeData = {
    ...{ uri, appName: "ferry verify probe", readPreference: "primary" },
    ns: parseNamespace(first.from),
  };
  return new Pace(limitMs, SOURCE_PROBE, data, clock);
};

/** What a pass over one route needs. */
export const passDeps = (deps: VerifyDeps, store: VerificationStore, pace: Pace | undefined): VerificationDeps => ({
  ...deps,
  store,
  throttle: pace?.throttle,
  onProgress: deps.onCompared ?? (() => undefined),
  readers: READERS,
  graceMs: GRACE_MS,
});

/** Tells about how many documents a pass will compare, where that is asked for, and the source says so. */
const estimate = async ({ source, onEstimate }: VerifyDeps, routes: readonly Route[]): Promise<void> => {
  if (onEstimate === undefined) return;
  const counts = routes.map(({ from }) => {
    const { db, coll } = parseNamespace(from);
    return source.db(db).collection(coll).estimatedDocumentCount();
  });
  const known = await Promise.all(counts).catch(() => undefined); // a bar without an end, then
  if (known !== undefined) onEstimate(known.reduce((sum, n) => sum + n, 0));
};

/**
 * One pass over everything that is meant: is everything on the target that should be there, documents and structure? A pass that
 * was interrupted resumes. @throws what `readCarried` throws, the signal's reason
 */
export const verifyNamespaces = async (deps: VerifyDeps & Readonly<{ sinkOf: SinkOf }>): Promise<VerifyReport> => {
  const { state, onResult } = deps;
  const compared = await readCompared(deps);
  const store = new VerificationStore(state);
  await state.prepare();
  await using pace = openPace(deps, compared);
  const results: PassResult[] = [];
  await estimate(deps, [...compared.routes, ...compared.kept]);
  for (const route of [...compared.routes, ...compared.kept]) {
    const one = await comparedRoute(route, { ...deps, applied: compared.applied });
    const result = await new Verification(one, passDeps(deps, store, pace)).pass();
    if ((await deps.switchedOver())(route.from)) {
      await store.forget([route.name]); // meanwhile: nothing of it says anything
      continue;
    }
    results.push(result);
    onResult(result);
  }
  const left = await readCompared(deps);
  return { routes: results, structure: await lookAtStructure(deps, left, store), switched: left.switched };
};
