import { FerryError } from "#base/errors/ferryError.ts";
import { NamespacePattern, type NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { isWriteBlocked } from "#cutover/fence/writeBlock.ts";
import { CutoverStore } from "#cutover/machine/cutoverStore.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { lackedPrivilege, readPrivileges } from "#io/mongo/privileges.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import { obstacleBack, routeBack } from "#route/table/reverseRoutes.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import type { StartPoint } from "#source/stream/sourceProbe.ts";
import type { DirectDeps } from "./direct.ts";

const PAST_BLOCK = [
  {
    db: "",
    collection: "",
    cluster: true,
    actions: ["bypassWriteBlockingMode"],
    why: "writing behind user-write-block",
  },
] as const;

/** Where the target stood before services were sent there. @throws FERRY_ROLLBACK_NONE */
const startOf = async (state: StateDb): Promise<Readonly<{ back: StartPoint; names: readonly string[] }>> => {
  const record = await new CutoverStore(state, "", 0).released();
  if (record === undefined) throw new FerryError("FERRY_ROLLBACK_NONE", "no cutover has sent services to this target");
  if (record.back === undefined)
    throw new FerryError("FERRY_ROLLBACK_NONE", "its cutover noted no position: the target has no change stream");
  const { token, at } = record.back;
  return { back: { token: ResumeToken.stored(token), at }, names: record.namespaces };
};

/** @throws FERRY_MONGO_PRIVILEGE where a fence keeps ferry out as well */
const requirePastFence = async (source: MongoClient): Promise<void> => {
  if ((await isWriteBlocked(source)) !== true) return;
  const lacked = await lackedPrivilege("source", source, [...PAST_BLOCK]);
  if (lacked !== undefined) throw lacked;
  if ((await readPrivileges(source)).users.length === 0)
    throw new FerryError(
      "FERRY_MONGO_PRIVILEGE",
      "the source is fenced by user-write-block, and without authentication no user has bypassWriteBlockingMode: fence it by a validator",
    );
};

/** What the forward run remembers lies beside the documents, on the side that is read now. */
const withoutState = ({ include, exclude }: NamespaceSpec, stateDb: string): NamespaceSpec => {
  const isMeant = include.length === 0 || include.some((text) => new NamespacePattern(text).matchesDatabase(stateDb));
  return { include, exclude: isMeant ? [...exclude, `${stateDb}.*`] : exclude };
};

/**
 * The run that keeps the former source in step behind a cutover: the sides and the routes of `ferry run`, the other way, from where
 * the target stood before services were sent there. Nothing is copied.
 * @param deps as for the run that was switched over
 * @throws FERRY_ROLLBACK_NONE, FERRY_ROLLBACK_ROUTE with every reason, FERRY_MONGO_*
 */
export const reversed = async (deps: DirectDeps): Promise<DirectDeps> => {
  const { settings, routes, spec, options } = deps;
  const obstacles = (routes ?? []).flatMap((route) => obstacleBack(route) ?? []);
  if (obstacles.length > 0) throw new FerryError("FERRY_ROLLBACK_ROUTE", obstacles.join("; "));
  await using clients = new AsyncDisposableStack();
  const open = async (uri: string): Promise<MongoClient> => {
    const client = await connectMongo(uri, { appName: "ferry run --reverse" });
    clients.defer(() => client.close());
    return client;
  };
  const { back, names } = await startOf(new StateDb(await open(settings.state ?? settings.target), settings.stateDb));
  await requirePastFence(await open(settings.source));
  return {
    ...deps,
    settings: {
      ...settings,
      source: settings.target,
      target: settings.source,
      state: undefined,
      stateDb: reverseState(settings.stateDb),
    },
    routes: routes?.map(routeBack),
    spec: withoutState({ ...spec, include: names.length > 0 ? names : spec.include }, settings.stateDb),
    // The former source has documents: they are the ones that the forward run carried.
    options: { ...options, conflict: options.conflict === "refuse" ? "mirror" : options.conflict },
    structure: false,
    recopy: false,
    replaceTarget: false,
    back,
  };
};
