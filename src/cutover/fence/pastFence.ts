import { FerryError } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { pastBlockNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege, readPrivileges } from "#io/mongo/privileges.ts";
import { isWriteBlocked } from "./writeBlock.ts";

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
