import type { Timestamp } from "bson";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Fence, SourceTime } from "#cutover/machine/parts.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { writeBlockNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege } from "#io/mongo/privileges.ts";
import { atLeast } from "#io/mongo/serverVersion.ts";

/** Of `serverStatus`: writes are refused. Source: the server's user_write_block_mode_op_observer, `repl.userWriteBlockMode`. */
const BLOCKED = 2;

/** Does the source refuse the writes of all its users? undefined where that may not be read. @throws FERRY_MONGO_* */
export const isWriteBlocked = async (source: MongoClient): Promise<boolean | undefined> => {
  try {
    const status = await translated("asking whether the source refuses writes", () =>
      source.db("admin").command({ serverStatus: 1, repl: 1 }),
    );
    return status["repl"]?.userWriteBlockMode === BLOCKED;
  } catch (error) {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return undefined;
    throw error;
  }
};

/** Why this user could never raise it; undefined where it could. @throws FERRY_MONGO_* */
export const blockObstacle = async (source: MongoClient): Promise<FerryError | undefined> => {
  const { version } = await readTopology(source);
  if (atLeast(version, [6, 0])) return lackedPrivilege("source", source, writeBlockNeeds);
  return new FerryError("FERRY_CUTOVER_FENCE", `user-write-block came with MongoDB 6.0, and the source is ${version}`);
};

/** `setUserWriteBlockMode`: the source refuses the writes of all users without `bypassWriteBlockingMode`. MongoDB 6.0 and newer. */
export class WriteBlock implements Fence {
  readonly kind = "user-write-block";
  readonly #source: MongoClient;

  constructor(source: MongoClient) {
    this.#source = source;
  }

  async unready(): Promise<readonly FerryError[]> {
    const obstacle = await blockObstacle(this.#source);
    if (obstacle !== undefined) return [obstacle];
    return (await isWriteBlocked(this.#source)) === true
      ? [new FerryError("FERRY_CUTOVER_FENCED", "the source refuses the writes of all its users already")]
      : [];
  }

  async raise(leftMs: number): Promise<SourceTime> {
    // Open transactions hold it up: the server waits for them for so long, and then forgets it.
    return this.#set(true, { maxTimeMS: Math.max(1, Math.floor(leftMs)) });
  }

  async lift(): Promise<void> {
    await this.#set(false, {});
  }

  async #set(global: boolean, options: Readonly<{ maxTimeMS?: number }>): Promise<SourceTime> {
    const reply = await translated(global ? "fencing the source" : "lifting the fence of the source", () =>
      this.#source.db("admin").command({ setUserWriteBlockMode: 1, global, ...options }),
    );
    return (reply["operationTime"] as Timestamp).toBigInt();
  }
}
