import { createHash } from "node:crypto";
import type { Timestamp } from "bson";
import type { Claim } from "#apply/lanes/claims.ts";
import type { Beginning, Rules } from "#apply/lanes/laneRecords.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import { destinationRules, destinationText } from "#base/config/destination.ts";
import type { ConflictPolicy, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Logger } from "#base/observe/log.ts";
import { policyOf, requireMirror } from "#route/table/targetPolicy.ts";
import type { Sink } from "#sink/sink.ts";
import type { MarkStore } from "./marks.ts";

export type BeginningContext = Readonly<{
  claim: Claim;
  route: Route;
  options: WorkerOptions;
  runs: RunStore;
  marks: MarkStore;
  /** Error codes accepted with --accept. */
  accepted: ReadonlySet<string>;
  logger: Logger;
  clock: Clock;
  hard: AbortSignal;
}>;

/** How long another partition's owner may take to mark what is there, before the claim is released and tried again, ms. */
const SEEDING_MS = 10_000;

/** Documents whose marks are written in one batch. */
const SEED_BATCH = 5000;

/**
 * A route's first start, before anything is written: a target that has documents needs a policy, and under a policy that
 * heeds them they are marked as the target's. Every partition comes through here; the first one decides.
 * @throws FERRY_TARGET_NOT_EMPTY, FERRY_TARGET_POLICY, FERRY_ROUTE_MOVED, FERRY_TIMEOUT, FERRY_MONGO_*
 */
export const beginRoute = async (context: BeginningContext, sink: Sink): Promise<Beginning> => {
  const { claim, route, options, runs } = context;
  const { policy, named } = policyOf(route, options);
  requireMirror(route, policy);
  const known = (await runs.run(claim.route))?.begun;
  const begun = known ?? (await begin(context, sink, policy, named));
  if (begun.policy !== policy) await changePolicy(context, begun, policy);
  await noteRules(context);
  if (begun.seeding) await seed(context, sink);
  return (await runs.run(claim.route))?.begun ?? begun;
};

const begin = async (
  { claim, runs }: BeginningContext,
  sink: Sink,
  policy: ConflictPolicy,
  named: boolean,
): Promise<Beginning> => {
  const { at, occupied } = await sink.look();
  // Checked again: another partition may have begun, and what is there may be its work.
  const known = (await runs.run(claim.route))?.begun;
  if (known !== undefined) return known;
  if (occupied && !named)
    throw new FerryError(
      "FERRY_TARGET_NOT_EMPTY",
      `${claim.route}: ${sink.name} has documents, and no conflict policy is named`,
    );
  return runs.begin(claim.route, {
    policy,
    ...(at === undefined ? {} : { at: at as Timestamp }),
    occupied,
    seeding: occupied && policy !== "mirror",
  });
};

/** A digest of a route's rules. */
export const rulesOf = ({ to, fields, where }: Pick<Route, "to" | "fields" | "where">): Rules => ({
  to: destinationText(to),
  digest: createHash("sha256")
    .update(JSON.stringify([fields, where, ...destinationRules(to)]))
    .digest("hex")
    .slice(0, 16),
});

/** Documents that went through other rules stay as they are: the operator has to know. */
const noteRules = async ({ claim, route, runs, accepted, logger, clock }: BeginningContext): Promise<void> => {
  const { to, digest } = rulesOf(route);
  const known = (await runs.run(claim.route))?.rules;
  if (known !== undefined && known.to !== to)
    throw new FerryError("FERRY_ROUTE_MOVED", `${claim.route} has written to ${known.to}, and now names ${to}`);
  const isChanged = known !== undefined && known.digest !== digest;
  const isAccepted = known?.changedAt !== undefined && accepted.has("FERRY_ROUTE_RULES");
  if (known !== undefined && !isChanged && !isAccepted) return;
  await runs.noteRules(claim.route, { to, digest, ...(isChanged ? { changedAt: new Date(clock.now()) } : {}) });
  if (isChanged)
    logger.warn(
      { route: claim.route, code: "FERRY_ROUTE_RULES" },
      "its rules were changed: they apply from now on, and documents applied before stay as they are until their next change",
    );
};

/** Watching begins with the route: what others wrote before is unknown. */
const changePolicy = async (
  { claim, runs, logger }: BeginningContext,
  begun: Beginning,
  policy: ConflictPolicy,
): Promise<void> => {
  const { route } = claim;
  if (begun.policy === "mirror")
    throw new FerryError(
      "FERRY_TARGET_POLICY",
      `${route} started as mirror, so earlier writes of the target's services are unknown; it cannot become ${policy}`,
    );
  await runs.changePolicy(route, policy);
  logger.warn({ route }, `the conflict policy was ${begun.policy} and is ${policy} from now on`);
};

/** The owner of the first partition marks what is there; the others wait for it. */
const seed = async ({ claim, runs, marks, logger, clock, hard }: BeginningContext, sink: Sink): Promise<void> => {
  const { route, partition, epoch } = claim;
  if (partition !== 0) {
    await waitFor(
      async () =>
        (await runs.run(route))?.begun?.seeding === false ? { done: undefined } : { seen: "still being marked" },
      { what: `documents of ${sink.name} to be marked as the target's`, clock, timeoutMs: SEEDING_MS, signal: hard },
    );
    return;
  }
  logger.info({ route }, `marking the documents that ${sink.name} has already`);
  let count = 0;
  for await (const keys of sink.keys(SEED_BATCH)) {
    hard.throwIfAborted();
    await marks.seed(route, keys, epoch);
    count += keys.length;
  }
  await runs.seeded(route, epoch);
  logger.info({ route, count }, "the target's own documents are marked");
};
