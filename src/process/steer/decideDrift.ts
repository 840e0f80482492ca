import { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { type DriftDecision, DriftLedger } from "#route/drift/ledger.ts";
import { AuditLog, type Author } from "./auditLog.ts";

/** An operator's word on a field, or on one of its types. */
export type DriftWord = Pick<DriftDecision, "route" | "path" | "type" | "verdict">;

/**
 * Passes a field or drops it from now on; what was held for it is applied again.
 * @returns how many held events that are
 * @throws FERRY_USAGE for a field that the ledger does not have, and for `_id`, which is always written; FERRY_MONGO_*
 */
export const decideDrift = async (
  { route, path, type, verdict }: DriftWord,
  { state, by }: Readonly<{ state: StateDb; by: Author }>,
): Promise<number> => {
  if (verdict === "drop" && /^_id(?:\.|$)/.test(path))
    throw new FerryError("FERRY_USAGE", `${path} cannot be dropped: without it no document has an identity`);
  const ledger = new DriftLedger(state);
  if ((await ledger.read(route, [path])).length === 0)
    throw new FerryError(
      "FERRY_USAGE",
      `the ledger of ${route} has no field ${path}; \`ferry drift --all\` shows them`,
    );
  const former = (await ledger.decisions(route)).find((one) => one.path === path && one.type === type);
  const on = `${route} ${path}${type === null ? "" : ` (${type})`}`;
  await new AuditLog(state).note(by, { action: "drift.decide", on, before: former?.verdict ?? null, after: verdict });
  await ledger.decide(route, path, type, verdict);
  return new DeadLetterStore(state).decide({ route, code: "FERRY_DRIFT_HELD" }, "replay");
};
