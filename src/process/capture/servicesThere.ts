import type { Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { readSentOver } from "#cutover/machine/cutoverStore.ts";
import { type CutoverRecord, isCutoverOf, isSwitchedBy } from "#cutover/machine/record.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { knownRoutes } from "#io/state/forgetRoutes.ts";
import { databasesWithState } from "#io/state/knownState.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { targetsOf } from "#route/table/reverseRoutes.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { reverseState } from "./stateNames.ts";

export type ServicesDeps = Readonly<{
  /** Of every run into the target that remembers there, this one among them. */
  states: readonly StateDb[];
  /** Where what carries back after the cutovers of a run remembers. */
  backOf: (state: StateDb) => StateDb;
  routes: readonly Route[] | undefined;
  /** Topics whose targets are to be emptied. */
  topics: readonly string[];
}>;

/** Names in a sentence. */
const SHOWN = 5;

/** When services of a namespace were sent over last, ms since the epoch; 0: never. */
const sentAt = (records: readonly CutoverRecord[], name: string): number =>
  Math.max(
    0,
    ...records
      .filter((record) => isSwitchedBy(record, name))
      .map(({ entered: { ending } }) => ending?.getTime() ?? Number.POSITIVE_INFINITY),
  );

/** Who may not read there has switched nothing over from there, as far as can be known. */
const readable = (state: StateDb): Promise<readonly CutoverRecord[]> =>
  readSentOver(state).catch((error: unknown) => {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return [];
    throw error;
  });

/** Cutovers of the run that remembers here now. Of connectors nothing tells when they took another run's place. */
const cutoversOf = async (state: StateDb): Promise<readonly CutoverRecord[]> => {
  const sent = await readable(state);
  const capture = sent.length === 0 ? undefined : await readCapture(state);
  return capture === undefined ? sent : sent.filter((record) => isCutoverOf(record, capture));
};

/**
 * What services write to since a cutover is not ferry's to empty. Until a rollback has sent them back.
 * @throws FERRY_REPLACE_SWITCHED, FERRY_MONGO_*
 */
export const requireNoServices = async ({ states, backOf, routes, topics }: ServicesDeps): Promise<void> => {
  const emptied = new Set(topics.flatMap((topic) => targetsOf(routes, topic)));
  for (const state of states) {
    const sent = await cutoversOf(state);
    if (sent.length === 0) continue;
    const back = await readable(backOf(state));
    const carried = new Set((await knownRoutes(state, () => true)).map(({ topic }) => topic));
    const there = [...carried].flatMap((topic) =>
      targetsOf(routes, topic).filter((to) => emptied.has(to) && sentAt(sent, topic) > sentAt(back, to)),
    );
    if (there.length === 0) continue;
    const names = [...new Set(there)].slice(0, SHOWN).join(", ");
    throw new FerryError("FERRY_REPLACE_SWITCHED", `services write to ${names} (a cutover of state ${state.name})`);
  }
};

/** The same for whatever remembers on the target's server. @throws FERRY_REPLACE_SWITCHED, FERRY_MONGO_* */
export const requireNoServicesOn = async (
  { source, target, state }: Readonly<{ source: MongoClient; target: MongoClient; state: StateDb }>,
  given: Pick<ServicesDeps, "routes" | "topics">,
): Promise<void> => {
  const others = (await databasesWithState(target)).map((name) => new StateDb(target, name));
  const backOf = ({ name }: StateDb): StateDb => new StateDb(source, reverseState(name));
  await requireNoServices({ ...given, states: [state, ...others], backOf });
};
