import { oplogFill } from "#capture/oplogCheck.ts";
import { oplogWindow } from "#capture/sourceProbe.ts";
import { type MongoClient, readTopology } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import {
  missingPrivileges,
  type Need,
  readPrivileges,
  roleScript,
  sourceNeeds,
  sourceWishes,
  targetNeeds,
} from "./checkPrivileges.ts";
import { type CheckResult, checking } from "./checkResult.ts";

const HOUR = 3600;
/** Below this a full oplog is short for a copy and a weekend. */
const SHORT_OPLOG_SECONDS = 24 * HOUR;
/** The oldest server that ferry works with, on either side. */
export const OLDEST_VERSION = [4, 4] as const;

type Say = Parameters<Parameters<typeof checking>[1]>[0];

export const atLeast = (version: string, [major, minor]: readonly [number, number]): boolean => {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
};

const checkVersion = (say: Say, version: string): void => {
  if (!atLeast(version, OLDEST_VERSION))
    say("fail", `MongoDB ${version} is too old`, `Upgrade it to ${OLDEST_VERSION.join(".")} or newer.`);
};

const describe = (needs: readonly Need[]): string =>
  needs
    .map(({ db, collection, actions }) => `${actions.join(", ")} on ${db}.${collection === "" ? "*" : collection}`)
    .join("; ");

const checkPrivileges = async (
  say: Say,
  client: MongoClient,
  role: string,
  needs: readonly Need[],
  wishes: readonly Need[] = [],
): Promise<void> => {
  const { users, privileges } = await readPrivileges(client);
  if (users.length === 0) {
    say("ok", "no authentication: every action is allowed");
    return;
  }
  const missing = missingPrivileges(needs, privileges);
  const wished = missingPrivileges(wishes, privileges);
  const grant = `Create the role below and grant it to ${users.join(", ")}:\n${roleScript(role, [...needs, ...wishes])}`;
  if (missing.length > 0) say("fail", `${users.join(", ")} lacks ${describe(missing)}`, grant);
  else if (wished.length > 0)
    say("warn", `${users.join(", ")} lacks ${describe(wished)}: ferry cannot warn of a short oplog`, grant);
  else say("ok", `${users.join(", ")} has the privileges that are needed`);
};

const checkOplog = async (say: Say, source: MongoClient): Promise<void> => {
  const [window, fill] = [await oplogWindow(source), await oplogFill(source)];
  if (window === undefined || fill === undefined) return; // said with the privileges
  const seconds = window.lastSeconds - window.firstSeconds;
  const span = seconds > 2 * HOUR ? `${(seconds / HOUR).toFixed(1)} h` : `${Math.round(seconds / 60)} min`;
  const used = `${Math.min(100, Math.round(fill * 100))} % of it used`;
  if (fill >= 0.8 && seconds < SHORT_OPLOG_SECONDS)
    say(
      "warn",
      `the oplog reaches back ${span}, ${used}: a longer copy or outage of the capture cannot be resumed`,
      "Enlarge it: db.adminCommand({ replSetResizeOplog: 1, size: <MB> }).",
    );
  else say("ok", `the oplog reaches back ${span}, ${used}`);
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
    if (kind === "replicaSet") await checkOplog(say, source);
    await checkPrivileges(say, source, "ferrySource", sourceNeeds(db), sourceWishes);
  });

const PROBE = "preflight";

/** Writes, and writes in a transaction, what nobody else reads; removed again. */
const tryWriting = async (say: Say, target: MongoClient, stateDb: string, transactions: boolean): Promise<void> => {
  const probes = target.db(stateDb).collection(PROBE);
  await translated(`writing to ${stateDb} on the target`, () => probes.insertOne({ at: new Date() }));
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

/** The target: writable, and with transactions where exactly-once is wanted. */
export const checkTarget = (target: MongoClient, db: string, stateDb: string): Promise<CheckResult[]> =>
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
    await checkPrivileges(say, target, "ferryTarget", targetNeeds(db, stateDb));
    await tryWriting(say, target, stateDb, kind !== "standalone");
  });
