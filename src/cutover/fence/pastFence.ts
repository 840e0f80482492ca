import { FerryError } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { pastBlockNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege, readPrivileges } from "#io/mongo/privileges.ts";
import { isWriteBlocked } from "./writeBlock.ts";

/** Whom the server tells apart: without authentication no user is exempt. */
const passesBlock = async (client: MongoClient, side: "source" | "target"): Promise<boolean> =>
  (await readPrivileges(client)).users.length > 0 &&
  (await lackedPrivilege(side, client, pastBlockNeeds)) === undefined;

/**
 * What is written to is not behind user-write-block, or its user is exempt: a process that begins there would only ever repeat.
 * @param side as in a sentence
 * @throws FERRY_TARGET_FENCED, FERRY_MONGO_*
 */
export const requireUnfenced = async (client: MongoClient, side: string): Promise<void> => {
  if ((await isWriteBlocked(client)) !== true || (await passesBlock(client, "target"))) return;
  throw new FerryError("FERRY_TARGET_FENCED", `the ${side} refuses the writes of all its users (user-write-block)`);
};

/**
 * What carries back writes to the former source, and remembers there, behind the fence of its cutover.
 * @throws FERRY_MONGO_PRIVILEGE where that keeps ferry out as well, FERRY_MONGO_*
 */
export const requirePastFence = async (source: MongoClient): Promise<void> => {
  if ((await isWriteBlocked(source)) !== true) return;
  const lacked = await lackedPrivilege("source", source, pastBlockNeeds);
  if (lacked !== undefined) throw lacked;
  if ((await readPrivileges(source)).users.length === 0)
    throw new FerryError(
      "FERRY_MONGO_PRIVILEGE",
      "the source is fenced by user-write-block, and without authentication no user has bypassWriteBlockingMode: fence it by a validator",
    );
};
