import { parseNamespace } from "#base/flow/types.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { wantedIn } from "#structure/model/model.ts";
import { type Options, rawBoolean, rawInt32, rawSubdocument, rawText } from "#structure/model/options.ts";
import { type Held, LONGEST_TTL } from "#structure/model/relax.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import { type Failure, idempotent } from "./build.ts";
import { rebuildOrdinary } from "./capped.ts";
import { type FinalizeDeps, refusal, restore } from "./finalize.ts";

/**
 * What takes milliseconds, or as long as a capped collection is large, which is bounded. An index that is to be unique refuses new
 * duplicates immediately, and is checked for old ones when services no longer wait.
 */
const CHEAP: readonly Held[] = ["capped", "unique", "prepareUnique", "validator", "ttl"];

const cheapOf = ({ held }: StructureRecord): readonly Held[] => CHEAP.filter((part) => held.includes(part));

const restoreOne = async (deps: FinalizeDeps, record: StructureRecord): Promise<Failure | undefined> => {
  const parts = cheapOf(record);
  if (parts.length === 0) return undefined;
  await deps.store.noteRestored(record._id, parts);
  try {
    for (const part of parts) await restore(deps, record, part === "unique" ? "prepareUnique" : part);
  } catch (error) {
    return refusal(deps, record, error);
  }
  const held = record.held.filter((part) => part === "unique" || !parts.includes(part));
  await deps.store.settle(record._id, { state: "built", held });
  return undefined;
};

/**
 * Restores what is cheap of what was deferred: nothing may be on its way to these collections any more. May be repeated.
 * @returns what the target refuses; it is tried again when the run ends
 * @throws FERRY_MONGO_*, the signal's reason
 */
export const restoreCheap = async (
  deps: FinalizeDeps,
  records: readonly StructureRecord[],
): Promise<readonly Failure[]> => {
  const failures: Failure[] = [];
  for (const record of records) {
    deps.signal.throwIfAborted();
    const failed = await restoreOne(deps, record);
    if (failed !== undefined) failures.push(failed);
  }
  return failures;
};

const GONE = [ServerCode.NamespaceNotFound, ServerCode.IndexNotFound];

/** Defers one constraint again. Each may be repeated. @throws FERRY_MONGO_* */
const defer = async (deps: FinalizeDeps, record: StructureRecord, part: Held): Promise<void> => {
  const { db, coll } = parseNamespace(record._id.ns);
  const modify = (change: Options): Promise<void> =>
    idempotent(deps, db, `${record._id.ns}: defers its ${part} again`, { collMod: coll, ...change }, GONE);
  const ofIndex = (change: Options): Promise<void> =>
    modify({ index: rawSubdocument({ name: rawText(record._id.index), ...change }) });
  switch (part) {
    case "unique":
    case "prepareUnique":
      return ofIndex({ prepareUnique: rawBoolean(false) });
    case "validator":
      return modify({ validationLevel: rawText("off") });
    case "ttl":
      return record._id.index === ""
        ? modify({ expireAfterSeconds: rawText("off") })
        : ofIndex({ expireAfterSeconds: rawInt32(LONGEST_TTL) });
    case "capped":
      return rebuildOrdinary(deps, { db, coll }, wantedIn(record));
    case "index":
      return;
    default:
      return part satisfies never;
  }
};

/** Defers again what a cutover has restored, or begun to: documents still arrive. May be repeated. @throws FERRY_MONGO_* */
export const deferAgain = async (deps: FinalizeDeps, records: readonly StructureRecord[]): Promise<void> => {
  for (const record of records) {
    if (record.restored === undefined) continue;
    for (const part of record.restored) await defer(deps, record, part);
    const held = [...new Set([...record.held, ...record.restored])];
    await deps.store.settle(record._id, { state: "built", held });
    await deps.store.noteRestored(record._id, null);
  }
};
