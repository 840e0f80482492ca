import { isFerry } from "#base/errors/ferryError.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { seriesNames, showsBuckets, unseen } from "#process/capture/timeSeries.ts";
import { type PlanDeps, planOf } from "#structure/operations/structureOperations.ts";
import { readAsked } from "#structure/plan/structureStore.ts";
import type { StructureFinding, Wanted } from "#structure/plan/wanted.ts";
import { type CheckResult, checking, type Say } from "./checkResult.ts";

/** Pending structure that was not requested yet is not a failure. */
const isAsked = async ({ routes, include, state }: PlanDeps, given: boolean): Promise<boolean> =>
  given || routes !== undefined || (include.length > 0 && (await readAsked(state)).length > 0);

const sentenceOf = ({ ns, index, level, reason }: StructureFinding): string =>
  `${ns}${index === undefined ? "" : ` (${index})`}: ${reason}${level === "left-out" ? " (left out)" : ""}`;

const REMEDY = "Skip it with --exclude, fix the target, or empty it: `ferry structure build --replace-target`.";

/** Are their measurements carried? */
const checkTimeSeries = async (say: Say, source: MongoClient, wanted: readonly Wanted[]): Promise<void> => {
  const names = new Set(wanted.filter(({ spec }) => spec.kind === "timeseries").map(({ from }) => from));
  const series = [...names].map(parseNamespace);
  const [first] = series;
  if (first === undefined) return;
  const { kind, version } = await readTopology(source);
  if (kind === "standalone") return; // said of the source
  const sentence = `time series: ${series.length} (${seriesNames(series)})`;
  if (await showsBuckets(source, { level: "database", db: first.db, coll: "" }))
    say("ok", `${sentence}; \`ferry run\` and \`ferry capture\` carry their measurements, the connector does not`);
  else say("warn", `${sentence}: ${unseen(version)}`);
};

const check = async (say: Say, deps: PlanDeps, given: boolean): Promise<void> => {
  const { wanted, findings } = await planOf(deps);
  const refused = findings.filter(({ level }) => level === "refused");
  const level = (await isAsked(deps, given)) ? "fail" : "warn";
  for (const finding of refused) say(level, sentenceOf(finding), REMEDY);
  for (const finding of findings) if (finding.level !== "refused") say("warn", sentenceOf(finding));
  await checkTimeSeries(say, deps.source, wanted);
  const indexes = wanted.reduce((sum, { spec }) => sum + spec.indexes.length, 0);
  if (refused.length === 0)
    say("ok", `collections and views: ${wanted.length}, indexes: ${indexes}; \`ferry structure build\` can build them`);
};

/**
 * Structure: what MongoDB or this target makes impossible, and what is built with a limit; each with its reason. `given`: the
 * operator has named what is meant.
 */
export const checkStructure = (deps: PlanDeps, given: boolean): Promise<CheckResult[]> =>
  checking("structure", async (say) => {
    try {
      await check(say, deps, given);
    } catch (error) {
      // The default is only a guess at what is meant.
      if (given || !isFerry(error, "FERRY_STRUCTURE_SELECTION")) throw error;
      say("ok", `${error.detail}: nothing to build yet`);
    }
  });
