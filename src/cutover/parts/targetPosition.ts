import type { FerryError } from "#base/errors/ferryError.ts";
import type { WayBack } from "#cutover/machine/parts.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { wayBackNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege } from "#io/mongo/privileges.ts";
import type { StoredToken } from "#source/stream/resumeToken.ts";
import { noteStart, type StartPoint } from "#source/stream/sourceProbe.ts";

/**
 * A position of the target's change stream: what services write there from now on comes after it. It is the same in every scope,
 * so the stream that it is taken from watches no more than ferry's own database, and needs no privilege beyond it.
 */
export class TargetPosition implements WayBack {
  readonly #target: MongoClient;
  readonly #stateDb: string;

  constructor(target: MongoClient, stateDb: string) {
    this.#target = target;
    this.#stateDb = stateDb;
  }

  async unready(): Promise<readonly FerryError[]> {
    if (!(await this.#hasStream())) return [];
    const lacked = await lackedPrivilege("target", this.#target, wayBackNeeds(this.#stateDb));
    return lacked === undefined ? [] : [lacked];
  }

  async position(): Promise<Readonly<{ token: StoredToken; at: StartPoint["at"] }> | undefined> {
    if (!(await this.#hasStream())) return undefined;
    const { token, at } = await noteStart(this.#target, { level: "database", db: this.#stateDb, coll: "" });
    return { token, at };
  }

  async #hasStream(): Promise<boolean> {
    return (await readTopology(this.#target)).kind !== "standalone";
  }
}
