import type { RawValue } from "#base/bson/rawValue.ts";
import { type FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { retry } from "#base/flow/retry.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { indexCommand, indexKeyText } from "#structure/model/model.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import type { BuildPlan, Item, StructureStep } from "#structure/plan/planStructure.ts";
import type { StructureStore } from "#structure/plan/structureStore.ts";
import { type BuildProgress, withProgress } from "./buildProgress.ts";

/** Progress while structure is built or finalized. */
export type StructureEvent = Readonly<{
  ns: string;
  /** What is being done, as a sentence without a subject: `creates index email_1`. */
  does: string;
  /** `progress`: once a second, while the server works on an index for longer. */
  state: "begins" | "progress" | "done" | "failed";
  ms?: number;
  progress?: BuildProgress;
  reason?: string;
  /** Which step of the plan it is, from 1, of how many. */
  step?: Readonly<{ at: number; of: number }>;
}>;

export type Failure = Readonly<{
  ns: string;
  index: string;
  reason: string;
  duplicates?: StructureRecord["duplicates"];
}>;

export type BuildDeps = Readonly<{
  target: MongoClient;
  store: StructureStore;
  clock: Clock;
  signal: AbortSignal;
  report: (event: StructureEvent) => void;
  /** How long the target may be unreachable, ms; undefined for a caller with its own wait. */
  awayMs?: number | undefined;
}>;

/** A refusal may name values of documents. */
const RAW_ANSWER = { raw: true } as const;

/** Did the server refuse this one thing, so that others may still be done? */
export const isRefusal = (error: unknown): error is FerryError =>
  isFerry(error, "FERRY_MONGO_REJECTED", "FERRY_MONGO_COMMAND");

/** How long the target may be unreachable, ms, by default. */
const AWAY_MS = 60_000;

/** What stands in a command: what a server gave stands there as the bytes it was. */
export type CommandBody = Readonly<
  Record<string, RawValue | string | boolean | readonly Readonly<Record<string, RawValue | string>>[]>
>;

type CommandDeps = Pick<BuildDeps, "target" | "clock" | "signal" | "awayMs">;

/** Runs a command on the target, as often as it takes until it is refused or done. @throws FERRY_MONGO_* with the server\'s answer raw */
export const command = async (
  { target, clock, signal, awayMs = AWAY_MS }: CommandDeps,
  db: string,
  what: string,
  body: CommandBody,
): Promise<void> => {
  const run = (): Promise<unknown> => translated(what, () => target.db(db).command(body, RAW_ANSWER));
  await retry(run, { what, clock, signal, giveUpAfterMs: awayMs });
};

/** As `command`, where some answers mean that it was done before. */
export const idempotent = async (
  deps: CommandDeps,
  db: string,
  what: string,
  body: CommandBody,
  doneBefore: readonly ServerCode[],
): Promise<void> => {
  try {
    await command(deps, db, what, body);
  } catch (error) {
    if (!hasServerCode(error, ...doneBefore)) throw error;
  }
};

const what = (step: StructureStep): string => {
  switch (step.do) {
    case "drop":
      return step.view ? "drops the view" : "drops the collection";
    case "create":
      return step.item.kind === "view" ? "creates the view" : `creates the ${step.item.kind}`;
    case "modify":
      return `changes ${Object.keys(step.command).join(", ")}${step.item.index === "" ? "" : ` ${step.item.index}`}`;
    case "drop-index":
      return `drops index ${step.name}`;
    case "index":
      return `creates index ${step.index.name} ${indexKeyText(step.index)}`;
    case "remember":
      return step.item.index === "" ? "notes the collection" : `notes index ${step.item.index}`;
    case "forget":
      return step.index === "" ? "forgets the collection" : `forgets index ${step.index}`;
    default:
      return step satisfies never;
  }
};

/** A step as one sentence. */
export const stepText = (step: StructureStep): string => {
  const held =
    "item" in step && step.item.held.length > 0 ? ` (until finalize without ${step.item.held.join(", ")})` : "";
  return `${what(step)}${held}`;
};

export const namespaceOf = (step: StructureStep): Namespace => ("item" in step ? step.item.ns : step.ns);

const act = async (deps: BuildDeps, step: Exclude<StructureStep, { do: "remember" | "forget" }>): Promise<void> => {
  const { db, coll } = namespaceOf(step);
  const phrase = `${db}.${coll}: ${what(step)}`;
  switch (step.do) {
    case "drop":
      return idempotent(deps, db, phrase, { drop: coll }, [ServerCode.NamespaceNotFound]);
    case "create":
      return idempotent(deps, db, phrase, { create: coll, ...step.options }, [ServerCode.NamespaceExists]);
    case "modify":
      await command(deps, db, phrase, { collMod: coll, ...step.command });
      return;
    case "drop-index":
      return idempotent(deps, db, phrase, { dropIndexes: coll, index: step.name }, [
        ServerCode.IndexNotFound,
        ServerCode.NamespaceNotFound,
      ]);
    case "index":
      await command(deps, db, phrase, { createIndexes: coll, indexes: [indexCommand(step.index)] });
      return;
    default:
      return step satisfies never;
  }
};

const begin = async ({ store }: BuildDeps, step: StructureStep): Promise<void> => {
  if (step.do === "drop") await store.forget(step.ns, "");
  else if (step.do === "drop-index" || step.do === "forget")
    await store.forget(step.ns, step.do === "forget" ? step.index : step.name);
  else await store.note(step.item, step.do === "remember" ? "built" : "planned");
};

const idOf = ({ ns, index }: Item): StructureRecord["_id"] => ({ ns: formatNamespace(ns), index });

const failure = async ({ store }: BuildDeps, step: StructureStep, error: FerryError): Promise<Failure> => {
  const ns = formatNamespace(namespaceOf(step));
  if (!("item" in step)) return { ns, index: "", reason: error.detail };
  // Documents of the target may be what refuses an index, and newer ones are on their way: all of it is left to finalize.
  const held = step.do === "index" ? { held: ["index"] as const } : {};
  await store.settle(idOf(step.item), { state: "failed", reason: error.detail, ...held });
  return { ns, index: step.item.index, reason: error.detail };
};

/** Is nothing done on the target for it? */
const isNoted = (step: StructureStep): step is Extract<StructureStep, { do: "remember" | "forget" }> =>
  step.do === "remember" || step.do === "forget";

const runStep = async (deps: BuildDeps, step: StructureStep): Promise<Failure | undefined> => {
  const { report, clock, store } = deps;
  const ns = formatNamespace(namespaceOf(step));
  const does = stepText(step);
  const begun = clock.now();
  await begin(deps, step);
  if (isNoted(step)) return undefined;
  report({ ns, does, state: "begins" });
  try {
    faultPoint("structure-noted");
    const tell = (progress: BuildProgress): void => report({ ns, does, state: "progress", progress });
    await (step.do === "index" ? withProgress(deps, step.item.ns, tell, () => act(deps, step)) : act(deps, step));
    faultPoint("structure-built");
    if ("item" in step) await store.settle(idOf(step.item), { state: "built" });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    report({ ns, does, state: "failed", reason: error.detail, ms: clock.now() - begun });
    return failure(deps, step, error);
  }
  report({ ns, does, state: "done", ms: clock.now() - begun });
  return undefined;
};

/**
 * Carries a plan out, step by step, each noted in the journal before it is done. What the server refuses is reported and
 * noted; the rest continues. After a crash the next process plans again and resumes.
 * @returns what could not be built
 * @throws FERRY_MONGO_UNREACHABLE and the like, the signal's reason
 */
export const carryOut = async (deps: BuildDeps, plan: BuildPlan): Promise<readonly Failure[]> => {
  const failures: Failure[] = [];
  const lost = new Set<string>();
  const of = plan.steps.filter((step) => !isNoted(step)).length;
  let at = 0;
  const report: BuildDeps["report"] = (event) => deps.report({ ...event, step: { at, of } });
  for (const step of plan.steps) {
    deps.signal.throwIfAborted();
    if (!isNoted(step)) at++;
    const ns = formatNamespace(namespaceOf(step));
    // A collection that could not be made has no indexes: one would make it, with other options.
    if (lost.has(ns)) continue;
    const failed = await runStep({ ...deps, report }, step);
    if (failed === undefined) continue;
    failures.push(failed);
    if (step.do === "create") lost.add(ns);
  }
  return failures;
};
