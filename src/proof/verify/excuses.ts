import type { MarkStore } from "#apply/conflict/marks.ts";
import type { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import type { Beginning } from "#apply/lanes/laneRecords.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import { clusterTimeOf } from "./reads.ts";
import type { Wrong } from "./recheck.ts";

export type ExcuseDeps = Readonly<{
  route: string;
  target: MongoClient;
  begun: Pick<Beginning, "policy" | "seed" | "unsure"> | undefined;
  letters: DeadLetterStore;
  marks: MarkStore;
  runs: RunStore;
  clock: Clock;
  signal: AbortSignal;
}>;

/** A worker notes how far it watches the target about once a second. */
const WATCHED_MS = 5000;
const LOOK_MS = 200;

/** Marks tell of every write of others that is older than now; where no worker watches, of those that are noted. */
const marksAreCurrent = async ({ route, target, runs, clock, signal }: ExcuseDeps): Promise<void> => {
  const now = await clusterTimeOf(target);
  const deadline = clock.now() + WATCHED_MS;
  await lookUntil(LOOK_MS, { clock, signal }, async () => {
    const watched = (await runs.run(route))?.watched;
    const token = typeof watched === "string" ? { _data: watched } : watched;
    const isCurrent = token !== undefined && tokenTime(ResumeToken.stored(token)) >= now;
    return isCurrent || clock.now() >= deadline;
  });
};

/** What the target's services wrote, and the policy leaves to them. */
const ofTarget = async (deps: ExcuseDeps, found: readonly Wrong[]): Promise<readonly string[]> => {
  const { begun, marks, route } = deps;
  if (begun === undefined || begun.policy === "mirror") return [];
  const kept = found.filter(({ kind }) => begun.policy === "keep-target" || kind === "extra");
  if (kept.length === 0) return [];
  const identities = kept.map(({ identity }) => identity);
  if (begun.unsure === true) return identities; // nothing tells them apart from ferry's own
  await marksAreCurrent(deps);
  const marked = await marks.read(route, identities);
  return identities.filter((identity) => {
    const mark = marked.get(identity)?.mark;
    return mark?.at !== undefined || (mark?.seed !== undefined && Number(mark.seed) === begun.seed);
  });
};

/** Identities of those that are not as they should be for a reason on the books. @throws FERRY_MONGO_*, the signal's reason */
export const excusedBy =
  (deps: ExcuseDeps) =>
  async (found: readonly Wrong[]): Promise<ReadonlySet<string>> => {
    const held = await deps.letters.heldAmong(
      deps.route,
      found.map(({ identity }) => identity),
    );
    return new Set([...held, ...(await ofTarget(deps, found))]);
  };
