import type { VerificationRecord, VerificationStore } from "#proof/verify/verificationStore.ts";
import { secondsOf } from "#source/stream/resumeToken.ts";

/** How far one route is verified. */
export type VerifiedRoute = Readonly<{
  route: string;
  /** The pass that is under way, or the last one. */
  pass: number;
  startedAt: Date;
  /** Null while it is under way. */
  finishedAt: Date | null;
  ranges: number;
  rangesDone: number;
  /** Documents of the source that the pass has compared so far. */
  documents: number;
  /** Source time: what the source had committed by then is on the target, or among what is wrong; null where no pass has ended. */
  verifiedTo: Date | null;
  /** Documents that were on their way when this was written. */
  behind: number;
  wrong: number;
  /** When `ferry verify --follow` last wrote; null where it never ran. */
  followedAt: Date | null;
}>;

export type VerificationReport = Readonly<{
  routes: readonly VerifiedRoute[];
  /** What the last look at the structure found: `ns`, or `ns index`; null where there was none. */
  structure: Readonly<{ at: Date; wrong: readonly string[]; deferred: number }> | null;
}>;

const verifiedRoute = (record: VerificationRecord, wrong: number): VerifiedRoute => {
  const { _id, pass, startedAt, finishedAt, ranges, documents, verifiedTo, behind, followedAt } = record;
  return {
    route: _id,
    pass,
    startedAt,
    finishedAt: finishedAt ?? null,
    ranges: ranges.length,
    rangesDone: ranges.filter(({ done }) => done).length,
    documents:
      finishedAt !== undefined && documents !== undefined
        ? Number(documents)
        : ranges.reduce((sum, range) => sum + Number(range.documents), 0),
    verifiedTo: verifiedTo === undefined ? null : new Date(secondsOf(verifiedTo.toBigInt()) * 1000),
    behind: Number(behind ?? 0),
    wrong,
    followedAt: followedAt ?? null,
  };
};

/** What `ferry verify` has found so far. @throws FERRY_MONGO_* */
export const readVerification = async (store: VerificationStore): Promise<VerificationReport> => {
  const [routes, structure] = await Promise.all([store.everyRoute(), store.structure()]);
  return {
    routes: routes.map(({ record, wrong }) => verifiedRoute(record, wrong)),
    structure:
      structure === undefined ? null : { at: structure.at, wrong: structure.wrong, deferred: structure.deferred },
  };
};
