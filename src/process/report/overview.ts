import { type ConflictCount, ConflictStore } from "#apply/conflict/conflictStore.ts";
import { readNewestCutover } from "#cutover/machine/cutoverStore.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { readingParts } from "./readingParts.ts";
import { readStatus, type Status, type StatusDeps } from "./status.ts";
import { readVerification, type VerificationReport } from "./verificationReport.ts";

/** A migration at a glance: what `ferry status` shows, and what else a person asks for. */
export type Overview = Status &
  Readonly<{
    at: Date;
    /** Conflicts so far, by route and winner. */
    conflicts: readonly ConflictCount[];
    /** Types of fields that were not there when their route began. */
    drift: number;
    verification: VerificationReport;
    /** The newest; null where there was none. */
    cutover: CutoverRecord | null;
  }>;

const NOT_VERIFIED: VerificationReport = { routes: [], structure: null };

const newestCutover = async (state: StateDb): Promise<CutoverRecord | null> =>
  (await readNewestCutover(state))?.record ?? null;

/** Reads all parts; one that fails is in `unread`, and does not hide the others. */
export const readOverview = async ({ state, ...deps }: StatusDeps): Promise<Overview> => {
  const { part, unread } = readingParts();
  const [status, conflicts, drift, verification, cutover] = await Promise.all([
    readStatus({ ...deps, state }),
    part<readonly ConflictCount[]>("conflicts", [], state && (() => new ConflictStore(state).counts())),
    part("drift", 0, state && (() => new DriftLedger(state).newsCount())),
    part("verification", NOT_VERIFIED, state && (() => readVerification(new VerificationStore(state)))),
    part<CutoverRecord | null>("cutover", null, state && (() => newestCutover(state))),
  ]);
  const all = [...status.unread, ...unread];
  return { ...status, at: new Date(), conflicts, drift, verification, cutover, unread: all };
};
