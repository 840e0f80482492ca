import { type Counts, NO_COUNTS } from "#base/flow/types.ts";
import { pauseOf } from "#cutover/machine/report.ts";
import type { DeskJob } from "#process/control/jobs.ts";
import type { Role } from "#process/control/tokenStore.ts";
import type { Overview } from "#process/report/overview.ts";
import type { CaptureLine } from "#process/report/status.ts";
import type { VerificationReport } from "#process/report/verificationReport.ts";
import { exitOf, needsOf, summaryOf } from "#surface/terminal/statusSummary.ts";
import type { AnswerOf } from "../contract/operation.ts";
import type { OPERATIONS } from "../contract/operations.ts";
import type { Watched } from "./handler.ts";
import { reasonFor } from "./reasonFor.ts";
import { jobFor } from "./switchHandlers.ts";

type OverviewAnswer = AnswerOf<(typeof OPERATIONS)["getOverview"]>;

const sumOf = <T>(all: readonly T[], of: (one: T) => number): number => all.reduce((sum, one) => sum + of(one), 0);

const booksOf = (lanes: Overview["lanes"]): Counts =>
  Object.fromEntries(
    Object.keys(NO_COUNTS).map((name) => [name, sumOf(lanes, ({ counts }) => counts[name as keyof Counts])]),
  ) as Counts;

/** What all routes are verified up to; null while one of them is not. */
const verifiedTo = (routes: VerificationReport["routes"]): Date | null => {
  const times = routes.flatMap((route) => (route.verifiedTo === null ? [] : [route.verifiedTo.getTime()]));
  return times.length === 0 || times.length < routes.length ? null : new Date(Math.min(...times));
};

const verificationOf = ({ routes, structure }: VerificationReport): OverviewAnswer["verification"] => ({
  routes: routes.length,
  finished: routes.filter(({ finishedAt }) => finishedAt !== null).length,
  documents: sumOf(routes, ({ documents }) => documents),
  behind: sumOf(routes, ({ behind }) => behind),
  wrong: sumOf(routes, ({ wrong }) => wrong),
  structureWrong: structure?.wrong.length ?? 0,
  verifiedTo: verifiedTo(routes),
});

/** A run's capture; what it ended with is told as this role may know it. */
export const captureFor = (role: Role, own: CaptureLine | null): OverviewAnswer["capture"] =>
  own && { ...own, ended: own.ended && { ...own.ended, detail: reasonFor(role, own.ended.code, own.ended.detail) } };

/** @param job what this process was asked for last */
export const overviewAnswer = (role: Role, found: Watched, job: DeskJob | undefined): OverviewAnswer => {
  const { at, own, lagMs, lanes, workers, halted, letters, conflicts, drift, verification, cutover, unread } = found;
  const alive = workers.filter((worker) => worker.alive);
  return {
    at,
    summary: summaryOf(found),
    exit: exitOf(found),
    needs: needsOf(found).map(({ text }) => text),
    lagMs,
    capture: captureFor(role, own),
    copy: own && { documents: own.copied, estimate: own.estimate, ...found.rate },
    lanes: {
      count: lanes.length,
      waiting: sumOf(lanes, ({ lag }) => lag),
      counts: booksOf(lanes),
      imbalanced: lanes.filter(({ imbalance }) => imbalance !== 0).length,
    },
    workers: {
      alive: alive.length,
      gone: workers.length - alive.length,
      appliedPerSecond: sumOf(alive, ({ report }) => report.appliedPerSecond),
      bytesPerSecond: sumOf(alive, ({ report }) => report.bytesPerSecond),
    },
    halted: halted.length,
    ...{ letters, conflicts, drift, unread },
    verification: verificationOf(verification),
    cutover: cutover && { cutover: cutover._id, state: cutover.state, pauseMs: pauseOf(cutover).ms },
    job: job === undefined ? null : jobFor(role, job),
  };
};
