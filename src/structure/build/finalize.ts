import { faultPoint } from "#base/flow/fault.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { type IndexSpec, indexCommand, wantedIn } from "#structure/model/model.ts";
import { type Options, pick, rawBoolean, rawSubdocument, rawText } from "#structure/model/options.ts";
import type { Held } from "#structure/model/relax.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import { type BuildDeps, command, type Failure, isRefusal } from "./build.ts";
import { type BuildProgress, withProgress } from "./buildProgress.ts";
import { rebuildCapped } from "./capped.ts";
import { duplicatesIn } from "./duplicates.ts";

export type FinalizeDeps = BuildDeps &
  Readonly<{
    /** Undefined where only the target can be asked: a capped collection then keeps the target's own order. */
    source: MongoClient | undefined;
  }>;

/** In this order: a capped collection is rebuilt with the indexes that exist by then. */
const ORDER: readonly Held[] = ["capped", "index", "unique", "prepareUnique", "validator", "ttl"];

export const indexOfRecord = (record: StructureRecord): IndexSpec => {
  const { key = rawSubdocument({}), ...options } = wantedIn(record);
  return { name: record._id.index, key, options };
};

export const DOES: Readonly<Record<Held, string>> = {
  capped: "makes the collection capped, in the source's order",
  index: "creates the index",
  unique: "makes the index unique",
  prepareUnique: "makes the index refuse new duplicates",
  validator: "validates again",
  ttl: "lets documents expire again",
};

/** Restores one deferred constraint. Each may be repeated. @throws FERRY_MONGO_REJECTED, FERRY_MONGO_COMMAND where the server refuses */
export const restore = async (deps: FinalizeDeps, record: StructureRecord, held: Held): Promise<string | undefined> => {
  const ns = parseNamespace(record._id.ns);
  const wanted = wantedIn(record);
  const phrase = `${record._id.ns}: ${DOES[held]}`;
  const modify = (body: Options): Promise<void> => command(deps, ns.db, phrase, { collMod: ns.coll, ...body });
  const index = (change: Options): Promise<void> =>
    modify({ index: rawSubdocument({ name: rawText(record._id.index), ...change }) });
  const ttl = pick(wanted, ["expireAfterSeconds"]);
  switch (held) {
    case "capped":
      return cappedText(deps, record, ns, wanted);
    case "index":
      await command(deps, ns.db, phrase, { createIndexes: ns.coll, indexes: [indexCommand(indexOfRecord(record))] });
      return undefined;
    case "unique":
      await index({ prepareUnique: rawBoolean(true) });
      faultPoint("structure-prepared");
      await index({ unique: rawBoolean(true) });
      return undefined;
    case "prepareUnique":
      await index({ prepareUnique: rawBoolean(true) });
      return undefined;
    case "validator":
      await modify({ validationLevel: wanted["validationLevel"] ?? rawText("strict") });
      return undefined;
    case "ttl":
      await (record._id.index === "" ? modify(ttl) : index(ttl));
      return undefined;
    default:
      return held satisfies never;
  }
};

const cappedText = async (
  deps: FinalizeDeps,
  record: StructureRecord,
  ns: Namespace,
  wanted: Options,
): Promise<string | undefined> => {
  const order = deps.source === undefined ? undefined : { client: deps.source, ns: parseNamespace(record.from) };
  const { before, after } = await rebuildCapped(deps, ns, wanted, order);
  return before === after
    ? undefined
    : `${after} of ${before} documents: the source has no others, or there is no room`;
};

export const refusal = async (deps: FinalizeDeps, record: StructureRecord, error: unknown): Promise<Failure> => {
  if (!isRefusal(error)) throw error;
  const { ns, index } = record._id;
  const clash = hasServerCode(error, ServerCode.CannotConvertIndexToUnique, ServerCode.DuplicateKey);
  const duplicates = clash ? await duplicatesIn(deps.target, parseNamespace(ns), indexOfRecord(record), error) : [];
  const reason = clash ? "documents have the same values" : error.detail;
  await deps.store.settle(record._id, { state: "failed", reason, ...(duplicates.length > 0 ? { duplicates } : {}) });
  return { ns, index, reason, ...(duplicates.length > 0 ? { duplicates } : {}) };
};

const finalizeOne = async (deps: FinalizeDeps, record: StructureRecord): Promise<Failure | undefined> => {
  const { store, report, clock } = deps;
  const { ns, index } = record._id;
  let held = record.held;
  if (held.length === 0) {
    if (record.state !== "built") return { ns, index, reason: record.reason ?? "was planned, and never built" };
    await store.settle(record._id, { state: "final", held });
    return undefined;
  }
  for (const part of ORDER.filter((one) => record.held.includes(one))) {
    const does = `${DOES[part]}${index === "" ? "" : ` (${index})`}`;
    const begun = clock.now();
    report({ ns, does, state: "begins" });
    try {
      const tell = (progress: BuildProgress): void => report({ ns, does, state: "progress", progress });
      const reason = await withProgress(deps, parseNamespace(ns), tell, () => restore(deps, record, part));
      faultPoint("structure-restored");
      held = held.filter((one) => one !== part);
      await store.settle(record._id, { state: held.length === 0 ? "final" : "built", held });
      report({ ns, does, state: "done", ms: clock.now() - begun, ...(reason === undefined ? {} : { reason }) });
    } catch (error) {
      const failed = await refusal(deps, record, error);
      report({ ns, does, state: "failed", reason: failed.reason, ms: clock.now() - begun });
      return failed;
    }
  }
  return undefined;
};

/** Capped collections first: a rebuild keeps the indexes that exist. Then namespace by namespace. */
const inOrder = (records: readonly StructureRecord[]): readonly StructureRecord[] => {
  const capped = records.filter(({ held }) => held.includes("capped"));
  return [...capped, ...records.filter((record) => !capped.includes(record))];
};

/**
 * Restores everything that was deferred while documents arrived: no more writes may be pending. What the server
 * refuses is reported with its reason, duplicates with their values; the rest continues, and another call retries what is left.
 * An index with duplicates stays prepared: it refuses new ones.
 * @returns what could not be restored
 * @throws FERRY_MONGO_UNREACHABLE and the like, the signal's reason
 */
export const finalizeStructure = async (
  deps: FinalizeDeps,
  records: readonly StructureRecord[],
): Promise<readonly Failure[]> => {
  const failures: Failure[] = [];
  for (const record of inOrder(records)) {
    deps.signal.throwIfAborted();
    if (record.state === "final" && record.held.length === 0) continue;
    const failed = await finalizeOne(deps, record);
    if (failed !== undefined) failures.push(failed);
  }
  return failures;
};
