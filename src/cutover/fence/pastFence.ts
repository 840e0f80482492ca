import { FerryError } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { pastBlockNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege, readPrivileges } from "#io/mongo/privileges.ts";
import { isWriteBlocked } from "./writeBlock.ts";

/** Why user-write-block keeps ferry out of a former source; undefined where it is not up, or its user is exempt. */
const keptOut = async (client: MongoClient): Promise<FerryError | undefined> => {
  if ((await isWriteBlocked(client)) !== true) return undefined;
  const lacked = await lackedPrivilege("source", client, pastBlockNeeds);
  if (lacked !== undefined || (await readPrivileges(client)).users.length > 0) return lacked;
  return new FerryError(
    "FERRY_MONGO_PRIVILEGE",
    "the source is fenced by user-write-block, and without authentication no user has bypassWriteBlockingMode: fence it by a validator",
  );
};

/**
 * What is written to is not behind user-write-block, or its user is exempt: a process that begins there would only ever repeat.
 * @param side as in a sentence
 * @throws FERRY_TARGET_FENCED, FERRY_MONGO_*
 */
export const requireUnfenced = async (client: MongoClient, side: string): Promise<void> => {
  if ((await keptOut(client)) === undefined) return;
  throw new FerryError("FERRY_TARGET_FENCED", `the ${side} refuses the writes of all its users (user-write-block)`);
};

/**
 * What carries back writes to the former source, and remembers there, behind the fence of its cutover.
 * @throws FERRY_MONGO_PRIVILEGE where that keeps ferry out as well, FERRY_MONGO_*
 */
export const requirePastFence = async (source: MongoClient): Promise<void> => {
  const why = await keptOut(source);
  if (why !== undefined) throw why;
};
