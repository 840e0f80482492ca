import { isFerry } from "#base/errors/ferryError.ts";
import { bucketsOf } from "#base/flow/buckets.ts";
import { isOfServer, type Namespace } from "#base/flow/types.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import {
  bucketSourceNeeds,
  bucketTargetNeeds,
  noteWishes,
  oplogWishes,
  sourceNeeds,
  stateNeeds,
  writeNeeds,
} from "#io/mongo/needs.ts";
import { missingPrivileges, type Need, readPrivileges, roleScript } from "#io/mongo/privileges.ts";
import { atLeast, OLDEST_VERSION } from "#io/mongo/serverVersion.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { isSameDeployment, readDeployment } from "#source/stream/deployment.ts";
import { OPLOG_FULL, oplogFill } from "#source/stream/oplogRoom.ts";
import { oplogWindow } from "#source/stream/sourceProbe.ts";
import { type CheckResult, checking, type Say } from "./checkResult.ts";

const HOUR = 3600;
/** Below this a full oplog is short for a copy and a weekend. */
const SHORT_OPLOG_SECONDS = 24 * HOUR;

const checkVersion = (say: Say, version: string): void => {
  if (!atLeast(version, OLDEST_VERSION))
    say("fail", `MongoDB ${version} is too old`, `Upgrade it to ${OLDEST_VERSION.join(".")} or newer.`);
};

const placeOf = ({ db, collection, cluster }: Need): string =>
  cluster === true ? "the cluster" : `${db === "" ? "*" : db}.${collection === "" ? "*" : collection}`;

const describe = (needs: readonly Need[]): string =>
  needs.map((need) => `${need.actions.join(", ")} on ${placeOf(need)}`).join("; ");

/** What ferry works without, and how. */
type RightsWish = Readonly<{ needs: readonly Need[]; without: string }>;

const WITHOUT_OPLOG = "ferry cannot warn of a short oplog";
const WITHOUT_NOTES = "while the source rests, `ferry finalize` waits for the server's own no-op, up to twenty seconds";
const WITHOUT_BUCKETS = "`ferry run` would be refused; with the official connector, time series stay empty in any case";

const checkPrivileges = async (
  say: Say,
  client: MongoClient,
  role: string,
  needs: readonly Need[],
  wishes: readonly RightsWish[] = [],
): Promise<void> => {
  const { users, privileges } = await readPrivileges(client);
  if (users.length === 0) {
    say("ok", "no authentication: every action is allowed");
    return;
  }
  const missing = missingPrivileges(needs, privileges);
  const who = users.join(", ");
  const all = [...needs, ...wishes.flatMap((wish) => wish.needs)];
  const grant = `Create the role below and grant it to ${who}:\n${roleScript(role, all)}`;
  if (missing.length > 0) {
    say("fail", `${who} lacks ${describe(missing)}`, grant);
    return;
  }
  const lacking = wishes
    .map((wish) => ({ ...wish, needs: missingPrivileges(wish.needs, privileges) }))
    .filter((wish) => wish.needs.length > 0);
  for (const wish of lacking) say("warn", `${who} lacks ${describe(wish.needs)}: ${wish.without}`, grant);
  if (lacking.length === 0) say("ok", `${who} has the required privileges`);
};

/** Returns whether the oplog could be read: an answer goes before what privileges say, which not every built-in role spells out. */
const checkOplog = async (say: Say, source: MongoClient): Promise<boolean> => {
  const [window, fill] = [await oplogWindow(source), await oplogFill(source)];
  if (window === undefined || fill === undefined) return false; // said with the privileges
  const seconds = window.lastSeconds - window.firstSeconds;
  const span = seconds > 2 * HOUR ? `${(seconds / HOUR).toFixed(1)} h` : `${Math.round(seconds / 60)} min`;
  const used = `${Math.min(100, Math.round(fill * 100))} % of it used`;
  if (fill >= OPLOG_FULL && seconds < SHORT_OPLOG_SECONDS)
    say(
      "warn",
      `the oplog reaches back ${span}, ${used}: a longer copy or outage of the capture cannot be resumed`,
      "Enlarge it: db.adminCommand({ replSetResizeOplog: 1, size: <MB> }).",
    );
  else say("ok", `the oplog reaches back ${span}, ${used}`);
  return true;
};

const NAMES = { nameOnly: true } as const;

/** But the server's own, whose collections a user rarely may list. */
const databasesOf = async (client: MongoClient): Promise<readonly string[]> =>
  (await client.db("admin").admin().listDatabases(NAMES)).databases
    .map(({ name }) => name)
    .filter((db) => !isOfServer({ db, coll: "" }));

/** Buckets of the time series of a database, or of all of them (""); none if they may not be listed, which is reported with the privileges. */
export const bucketsIn = async (source: MongoClient, db: string): Promise<readonly Namespace[]> => {
  try {
    return await translated("listing the time series", async () => {
      const found: Namespace[] = [];
      for (const name of db === "" ? await databasesOf(source) : [db])
        for (const { name: coll } of await source.db(name).listCollections({ type: "timeseries" }, NAMES).toArray())
          found.push(bucketsOf({ db: name, coll }));
      return found;
    });
  } catch (error) {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return [];
    throw error;
  }
};

/** The source: a replica set, with an oplog that lasts, readable. */
export const checkSource = (source: MongoClient, db: string): Promise<CheckResult[]> =>
  checking("source", async (say) => {
    const { kind, setName, version } = await readTopology(source);
    checkVersion(say, version);
    if (kind === "standalone") {
      say(
        "fail",
        `MongoDB ${version} is a standalone server: it has no oplog, so there are no change streams`,
        "Start it with --replSet NAME and run rs.initiate() once; one member is enough.",
      );
      return;
    }
    say("ok", `MongoDB ${version}, ${kind === "sharded" ? "a sharded cluster" : `replica set ${setName}`}`);
    const isOplogRead = kind === "replicaSet" && (await checkOplog(say, source));
    const series = (await bucketsIn(source, db)).flatMap(bucketSourceNeeds);
    await checkPrivileges(say, source, "ferrySource", sourceNeeds(db), [
      { needs: isOplogRead ? [] : oplogWishes, without: WITHOUT_OPLOG },
      { needs: noteWishes, without: WITHOUT_NOTES },
      { needs: series, without: WITHOUT_BUCKETS },
    ]);
  });

/** ferry's own database, where it is asked for elsewhere than on the target. */
export const checkStatePlace = (state: MongoClient, target: MongoClient): Promise<CheckResult[]> =>
  checking("state", async (say) => {
    if (isSameDeployment(await readDeployment(state), await readDeployment(target))) return;
    say(
      "warn",
      "ferry's state is on another deployment than the target: delivery is at-least-once, with idempotent writes",
      "Leave --state out, and each batch takes effect exactly once.",
    );
  });

/** ferry's own database where there is no target: the only thing that is written besides what routes write elsewhere. */
export const checkStateAlone = (state: MongoClient, stateDb: string): Promise<CheckResult[]> =>
  checking("state", async (say) => {
    const { version } = await readTopology(state);
    checkVersion(say, version);
    await checkPrivileges(say, state, "ferryState", stateNeeds(stateDb));
    await tryWriting(say, state, stateDb, false);
  });

/** Writes a document of its own, also in a transaction, and removes it. */
const tryWriting = async (say: Say, target: MongoClient, stateDb: string, transactions: boolean): Promise<void> => {
  const probes = new StateDb(target, stateDb).collection("preflight");
  await translated(`writing to ${stateDb}`, () => probes.insertOne({ at: new Date() }));
  try {
    if (!transactions) {
      say("ok", "is writable");
      return;
    }
    const session = target.startSession();
    try {
      await translated("writing in a transaction on the target", () =>
        session.withTransaction(async () => {
          await probes.insertOne({ at: new Date() }, { session });
        }),
      );
      say("ok", "is writable, and transactions work: each batch takes effect exactly once");
    } finally {
      await session.endSession();
    }
  } finally {
    await translated("removing the probe", () => probes.deleteMany({}));
  }
};

/**
 * The target: writable, and with transactions where exactly-once is wanted.
 * @param databases that are written to; "" for every one
 * @param buckets of the time series that are to be written
 */
export const checkTarget = (
  target: MongoClient,
  databases: readonly string[],
  stateDb: string,
  buckets: readonly Namespace[] = [],
): Promise<CheckResult[]> =>
  checking("target", async (say) => {
    const { kind, setName, version } = await readTopology(target);
    checkVersion(say, version);
    if (kind === "standalone")
      say(
        "warn",
        `MongoDB ${version} is a standalone server without transactions: delivery is at-least-once, with idempotent writes`,
        "Start it with --replSet NAME and run rs.initiate() once, and each batch takes effect exactly once.",
      );
    else say("ok", `MongoDB ${version}, ${kind === "sharded" ? "a sharded cluster" : `replica set ${setName}`}`);
    const needs = [...databases.flatMap(writeNeeds), ...stateNeeds(stateDb)];
    await checkPrivileges(say, target, "ferryTarget", needs, [
      { needs: buckets.flatMap(bucketTargetNeeds), without: WITHOUT_BUCKETS },
    ]);
    await tryWriting(say, target, stateDb, kind !== "standalone");
  });
